import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.*;
import java.io.*;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.protocol.types.*;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.requests.*;

/**
 * Says the same requests to two brokers, in every version that both serve, valid ones and broken ones, and prints where they
 * disagree: one answers, the other closes the connection or keeps silent; or their error codes, or what they are about, differ.
 * Texts, times, ids and addresses are not compared.
 *
 *   java -cp 'jars/*' Diff.java OURS KAFKA requests.json [API]
 *
 * Requests are built and answers read by Kafka's own message classes. Each base request of the file is said as it is, then with one
 * field changed at a time (not those named under `leave`, and none where it is meant `as it is`), then with its bytes damaged (not
 * those that are `whole`). Words that begin with $ stand for what `setup` makes afresh for each case.
 * Prints `API VERSIONS CASE`, then what each answered, and at the end how many requests were said.
 */
public class Diff {
    static final ObjectMapper JSON = new ObjectMapper();
    /** How long a broker may think about a request that may have no answer, and about one that has. */
    static final int PATIENCE_MS = 3000, STEP_MS = 60_000;
    static final String ZERO = "AAAAAAAAAAAAAAAAAAAAAA";
    static final Set<String> IDS = Set.of("$ID", "$SHAREDID", ZERO);

    /** A broker and what it gave the current case. */
    static class Broker {
        final String address;
        Socket socket;
        int correlation;
        final Map<Short, short[]> versions = new TreeMap<>();
        final Map<String, Object> given = new HashMap<>();

        Broker(String address) { this.address = address; }

        void send(ByteBuffer bytes) throws IOException {
            if (socket == null) {
                int colon = address.lastIndexOf(':');
                socket = new Socket(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
                socket.setTcpNoDelay(true);
            }
            DataOutputStream out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
            out.writeInt(bytes.remaining());
            out.write(bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining());
            out.flush();
        }

        /** The bytes of an answer, or a word for what came instead. */
        Object receive(int patienceMs) {
            try {
                socket.setSoTimeout(patienceMs);
                DataInputStream in = new DataInputStream(socket.getInputStream());
                byte[] answer = new byte[in.readInt()];
                in.readFully(answer);
                return ByteBuffer.wrap(answer);
            } catch (java.net.SocketTimeoutException e) {
                close();
                return "silent";
            } catch (IOException e) {
                close();
                return "closed";
            }
        }

        void close() {
            try { if (socket != null) socket.close(); } catch (IOException e) { /* it is gone */ }
            socket = null;
        }
    }

    /** Leaves out the fields that a version doesn't have. */
    static JsonNode pruned(JsonNode node, Type type) {
        if (node.isArray() && type.arrayElementType().isPresent()) {
            ArrayNode out = JSON.createArrayNode();
            node.forEach(element -> out.add(pruned(element, type.arrayElementType().get())));
            return out;
        }
        if (!node.isObject() || !(type instanceof Schema)) return node;
        Schema schema = (Schema) type;
        ObjectNode out = JSON.createObjectNode();
        node.fields().forEachRemaining(field -> {
            String name = field.getKey().replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
            Type found = schema.get(name) == null ? null : schema.get(name).def.type;
            BoundField tags = schema.get("_tagged_fields");
            if (tags != null)
                for (Field tagged : ((TaggedFields) tags.def.type).fields().values())
                    if (tagged.name.equals(name)) found = tagged.type;
            if (found != null) out.set(field.getKey(), pruned(field.getValue(), found));
        });
        return out;
    }

    static ApiMessage request(ApiKeys api, JsonNode body, short version) throws Exception {
        body = pruned(body, api.messageType.requestSchemas()[version]);
        Class<?> converter = Class.forName("org.apache.kafka.common.message." + api.messageType.newRequest().getClass().getSimpleName() + "JsonConverter");
        return (ApiMessage) converter.getMethod("read", JsonNode.class, short.class).invoke(null, body, version);
    }

    static JsonNode json(ApiMessage message, short version) throws Exception {
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        return (JsonNode) converter.getMethod("write", message.getClass(), short.class, boolean.class).invoke(null, message, version, false);
    }

    static ByteBuffer bytes(ApiKeys api, short version, int correlation, ApiMessage message) {
        RequestHeader header = new RequestHeader(api, version, "diff", correlation);
        return RequestUtils.serialize(header.data(), header.headerVersion(), message, version);
    }

    /** One request that is only a step towards a case. */
    static JsonNode ask(Broker broker, ApiKeys api, int version, String body) throws Exception {
        JsonNode filled = filled(JSON.readTree(body.replace('\'', '"')), broker);
        broker.send(bytes(api, (short) version, ++broker.correlation, request(api, filled, (short) version)));
        Object answer = broker.receive(STEP_MS);
        if (!(answer instanceof ByteBuffer)) throw new IOException(broker.address + " " + api + ": " + answer);
        return read(api, (short) version, (ByteBuffer) answer);
    }

    static JsonNode read(ApiKeys api, short version, ByteBuffer answer) throws Exception {
        short headerVersion = api.responseHeaderVersion(version);
        ResponseHeader.parse(answer, headerVersion);
        ApiMessage message = api.messageType.newResponse();
        message.read(new ByteBufferAccessor(answer), version);
        return json(message, version);
    }

    /** Records of long ago would go by retention. */
    static final long NOW = System.currentTimeMillis();
    static int fresh;
    /** A broker may have been asked before. */
    static final String RUN = ProcessHandle.current().pid() + "-";

    /** What a case begins with, made by both brokers alike. */
    static void prepare(Broker broker, String what, int number) throws Exception {
        Map<String, Object> given = broker.given;
        given.put("$GROUP", "group-" + RUN + number);
        given.put("$NEW", "new-" + RUN + number);
        if (what.contains("topic")) {
            String name = "topic-" + RUN + number;
            given.put("$TOPIC", name);
            JsonNode made = ask(broker, ApiKeys.CREATE_TOPICS, 7, "{'topics':[{'name':'$TOPIC','numPartitions':2,'replicationFactor':1,'assignments':[],'configs':[]}],'timeoutMs':10000,'validateOnly':false}");
            given.put("$ID", made.get("topics").get(0).get("topicId").asText());
            settle(broker);
        }
        if (what.contains("member")) {
            String join = "{'groupId':'$GROUP','sessionTimeoutMs':30000,'rebalanceTimeoutMs':30000,'memberId':'','protocolType':'consumer','protocols':[{'name':'range','metadata':'AAAAAAAAAAAAAA=='}]}";
            JsonNode joined = null;
            for (int attempt = 0; joined == null || joined.get("errorCode").asInt() != 0; attempt++) {
                if (attempt == 200) throw new IOException(broker.address + " lets nobody join: " + joined);
                if (attempt > 0) Thread.sleep(50);
                joined = ask(broker, ApiKeys.JOIN_GROUP, 3, join);
            }
            given.put("$MEMBER", joined.get("memberId").asText());
            given.put("$GENERATION", joined.get("generationId").asInt());
            if (!what.contains("joining"))
                ask(broker, ApiKeys.SYNC_GROUP, 0, "{'groupId':'$GROUP','generationId':'$GENERATION','memberId':'$MEMBER','assignments':[{'memberId':'$MEMBER','assignment':'AAAA'}]}");
        }
        if (what.contains("committed"))
            ask(broker, ApiKeys.OFFSET_COMMIT, 2, "{'groupId':'$GROUP','generationIdOrMemberEpoch':-1,'memberId':'','retentionTimeMs':-1,'topics':[{'name':'$TOPIC','partitions':[{'partitionIndex':0,'committedOffset':1,'committedMetadata':'m'}]}]}");
        if (what.contains("consumer")) {
            String id = "c0000000000000000000aa";
            given.put("$MEMBER", id);
            JsonNode joined = null;
            for (int attempt = 0; joined == null || joined.get("errorCode").asInt() != 0; attempt++) {
                if (attempt == 200) throw new IOException(broker.address + " lets nobody join: " + joined);
                if (attempt > 0) Thread.sleep(50);
                joined = ask(broker, ApiKeys.CONSUMER_GROUP_HEARTBEAT, 1, "{'groupId':'$GROUP','memberId':'$MEMBER','memberEpoch':0,'instanceId':null,'rackId':null,'rebalanceTimeoutMs':30000,'subscribedTopicNames':['$SHARED'],'subscribedTopicRegex':null,'serverAssignor':null,'topicPartitions':[]}");
            }
            given.put("$EPOCH", joined.get("memberEpoch").asInt());
        }
        if (what.contains("records")) {
            ask(broker, ApiKeys.PRODUCE, 9, "{'transactionalId':null,'acks':-1,'timeoutMs':5000,'topicData':[{'name':'$TOPIC','partitionData':[{'index':0,'records':'" + records() + "'}]}]}");
        }
    }

    /** Waits until the topic's partitions have leaders that answer. */
    static void settle(Broker broker) throws Exception {
        for (int attempt = 0; attempt < 200; attempt++) {
            JsonNode offsets = ask(broker, ApiKeys.LIST_OFFSETS, 4, "{'replicaId':-1,'isolationLevel':0,'topics':[{'name':'$TOPIC','partitions':[{'partitionIndex':0,'currentLeaderEpoch':-1,'timestamp':-1},{'partitionIndex':1,'currentLeaderEpoch':-1,'timestamp':-1}]}]}");
            boolean all = true;
            for (JsonNode p : offsets.get("topics").get(0).get("partitions")) all &= p.get("errorCode").asInt() == 0;
            if (all) return;
            Thread.sleep(20);
        }
        throw new IOException(broker.address + ": a topic has no leaders");
    }

    static String records() {
        MemoryRecords records = MemoryRecords.withRecords(Compression.NONE, new SimpleRecord(NOW, "key".getBytes(), "value".getBytes()), new SimpleRecord(NOW + 1, null, "more".getBytes()));
        ByteBuffer buffer = records.buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return Base64.getEncoder().encodeToString(bytes);
    }

    /** The body with what stands for words that begin with $. */
    static JsonNode filled(JsonNode node, Broker broker) {
        if (node.isTextual() && node.asText().startsWith("$")) {
            Object value = node.asText().equals("$RECORDS") ? records() : broker.given.get(node.asText());
            if (value == null) throw new IllegalArgumentException(node + " isn't made here");
            return value instanceof Integer ? new IntNode((Integer) value) : new TextNode((String) value);
        }
        if (node.isArray()) {
            ArrayNode out = JSON.createArrayNode();
            node.forEach(element -> out.add(filled(element, broker)));
            return out;
        }
        if (node.isObject()) {
            ObjectNode out = JSON.createObjectNode();
            node.fields().forEachRemaining(field -> out.set(field.getKey(), filled(field.getValue(), broker)));
            return out;
        }
        return node;
    }

    /** One way to break a body: its name, and the change. */
    record Change(String name, JsonNode body) { }

    /** All bodies with one field changed. */
    static List<Change> changes(JsonNode body) {
        List<Change> all = new ArrayList<>();
        walk(body, "", all, (change) -> change);
        return all;
    }

    interface Wrap { JsonNode in(JsonNode changed); }

    static void walk(JsonNode node, String path, List<Change> all, Wrap wrap) {
        for (Map.Entry<String, JsonNode> change : broken(node).entrySet())
            all.add(new Change(path + "=" + change.getKey(), wrap.in(change.getValue())));
        if (node.isObject()) {
            node.fieldNames().forEachRemaining(name -> walk(node.get(name), path + "." + name, all, changed -> {
                ObjectNode copy = node.deepCopy();
                copy.set(name, changed);
                return wrap.in(copy);
            }));
        }
        if (node.isArray() && node.size() > 0) {
            walk(node.get(0), path, all, changed -> {
                ArrayNode copy = node.deepCopy();
                copy.set(0, changed);
                return wrap.in(copy);
            });
        }
    }

    static Map<String, JsonNode> broken(JsonNode node) {
        Map<String, JsonNode> out = new LinkedHashMap<>();
        if (node.isArray()) {
            out.put("null", NullNode.instance);
            if (node.size() > 0) {
                out.put("[]", JSON.createArrayNode());
                out.put("twice", ((ArrayNode) node.deepCopy()).add(node.get(0)));
            }
        } else if (node.isBoolean()) {
            out.put("" + !node.asBoolean(), BooleanNode.valueOf(!node.asBoolean()));
        } else if (node.isNumber() || node.asText().equals("$GENERATION") || node.asText().equals("$EPOCH")) {
            for (long n : new long[] {-1, -2, 0, 1, 99, 2147483647, -2147483648})
                if (n != node.asLong() || node.isTextual()) out.put("" + n, new LongNode(n));
        } else if (node.isTextual() && IDS.contains(node.asText())) {
            out.put("zero", new TextNode(ZERO));
            out.put("unknown", new TextNode("AAAAAAAAAAAAAAAAAAAB_w"));
        } else if (node.isTextual() && node.asText().equals("$RECORDS")) {
            out.put("null", NullNode.instance);
            out.put("empty", new TextNode(""));
            out.put("garbage", new TextNode("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="));
        } else if (node.isTextual() || node.isNull()) {
            out.put("null", NullNode.instance);
            out.put("empty", new TextNode(""));
            out.put("unknown", new TextNode("nosuchthing1"));
            out.put("odd", new TextNode("a b/ü"));
            out.put("long", new TextNode("a".repeat(300)));
        }
        return out;
    }

    /** What is compared of an answer: its shape, error codes, and what they are about. */
    static String shape(JsonNode node, String field) {
        if (node.isObject()) {
            StringBuilder out = new StringBuilder("{");
            node.fieldNames().forEachRemaining(name -> {
                JsonNode value = node.get(name);
                if (name.equals("abortedTransactions")) return;
                boolean told = name.endsWith("rrorCode") || ABOUT.contains(name);
                if (told || value.isContainerNode()) out.append(out.length() > 1 ? " " : "").append(name).append('=').append(shape(value, name));
            });
            return out.append('}').toString();
        }
        if (node.isArray()) {
            if (ROUGH.contains(field)) return node.size() == 0 ? "none" : "some";
            List<String> elements = new ArrayList<>();
            for (JsonNode element : node) elements.add(element.isContainerNode() ? shape(element, field) : "");
            Collections.sort(elements);
            boolean plain = elements.stream().allMatch(String::isEmpty);
            return plain ? "[" + elements.size() + "]" : "[" + String.join(",", elements) + "]";
        }
        if (field.endsWith("rrorCode")) {
            short code = (short) node.asInt();
            return code == 0 ? "ok" : Errors.forCode(code).name();
        }
        String text = node.asText().replaceAll("(topic|group|new)-" + RUN + "\\d+", "$1");
        return text.length() > 40 ? text.substring(0, 8) + ".." : text;
    }

    /** Fields that say what an error is about. */
    static final Set<String> ABOUT = Set.of("name", "topic", "topicName", "partitionIndex", "partition", "index", "groupId", "group", "key", "resourceName", "resourceType", "groupState", "lowWatermark");
    /** Lists whose length is no matter of the protocol. */
    static final Set<String> ROUGH = Set.of("apiKeys", "supportedFeatures", "finalizedFeatures", "brokers", "configs", "synonyms", "nodes", "currentVoters", "observers", "nodeEndpoints", "voters", "listeners", "acceptedCompressionTypes", "logDirs", "results.logDirs");

    static String heard(ApiKeys api, short version, Object answer) {
        if (!(answer instanceof ByteBuffer)) return (String) answer;
        try {
            return shape(read(api, version, (ByteBuffer) answer), "");
        } catch (Exception e) {
            return "unreadable";
        }
    }

    static int said;
    static final Map<String, List<Short>> disagreements = new LinkedHashMap<>();

    static void compare(Broker[] brokers, ApiKeys api, short version, String name, Damage damage, JsonNode body) throws Exception {
        ByteBuffer[] bytes = new ByteBuffer[2];
        for (int i = 0; i < 2; i++) {
            Broker broker = brokers[i];
            try {
                bytes[i] = damage.to(bytes(api, version, ++broker.correlation, request(api, filled(body, broker), version)));
            } catch (java.lang.reflect.InvocationTargetException | RuntimeException e) {
                return; // This version can't say it.
            }
        }
        say(brokers, api, version, name, bytes);
    }

    static void say(Broker[] brokers, ApiKeys api, short version, String name, ByteBuffer[] bytes) throws Exception {
        String[] heard = new String[2];
        for (int i = 0; i < 2; i++) {
            try {
                brokers[i].send(bytes[i].duplicate());
            } catch (IOException e) {
                brokers[i].close();
                heard[i] = "closed";
            }
        }
        for (int i = 0; i < 2; i++)
            if (heard[i] == null) heard[i] = heard(api, version, brokers[i].receive(PATIENCE_MS));
        said++;
        if (!heard[0].equals(heard[1])) {
            String key = name + "\n    ours:  " + heard[0] + "\n    kafka: " + heard[1];
            disagreements.computeIfAbsent(api.name + "\n" + key, k -> new ArrayList<>()).add(version);
        }
    }

    interface Damage { ByteBuffer to(ByteBuffer bytes); }

    static ByteBuffer cut(ByteBuffer bytes, int length) {
        ByteBuffer out = ByteBuffer.allocate(Math.max(length, 0));
        for (int i = 0; i < out.capacity(); i++) out.put(i < bytes.remaining() ? bytes.get(bytes.position() + i) : 0);
        out.flip();
        return out;
    }

    static ByteBuffer with(ByteBuffer bytes, int at, byte[] put) {
        ByteBuffer out = cut(bytes, bytes.remaining());
        for (int i = 0; i < put.length && at + i < out.limit(); i++) out.put(at + i, put[i]);
        return out;
    }

    /** Whether a small number may stand there: texts with odd bytes are another matter. */
    static boolean counts(ByteBuffer bytes, int at, int length) {
        if (at + length > bytes.limit() || bytes.get(at) < 0 || bytes.get(at) > 9 && length > 1) return false;
        for (int i = at; i < at + Math.min(length, 4); i++)
            if (length == 4 ? bytes.get(i) > 0 && i < at + 3 : bytes.get(i) >= '-' && i == at) return false;
        return true;
    }

    static void base(Broker[] brokers, JsonNode base, ApiKeys api, short version) throws Exception {
        String setup = base.path("setup").asText("");
        String told = base.path("name").asText("");
        // Only what this version has.
        ObjectNode body = base.get("body").deepCopy();
        Set<String> leave = new HashSet<>();
        base.path("leave").forEach(l -> leave.add(l.asText()));
        List<Change> all = new ArrayList<>();
        all.add(new Change("as it is", body));
        if (!base.path("as it is").asBoolean(false))
            for (Change change : changes(body)) if (!leave.contains(change.name)) all.add(change);
        Set<String> seen = new HashSet<>();
        for (Change change : all) {
            String once;
            prepare(brokers, "");
            try { // A field that this version doesn't have changes nothing.
                given(brokers[0]);
                JsonNode canonical = json(request(api, filled(change.body, brokers[0]), version), version);
                once = canonical.toString();
            } catch (java.lang.reflect.InvocationTargetException | RuntimeException e) {
                if (change.body == body) System.err.println(api.name + " v" + version + " can't be said: " + (e.getCause() == null ? e : e.getCause()));
                continue;
            }
            if (!seen.add(once)) continue;
            if (!prepare(brokers, setup)) continue;
            compare(brokers, api, version, (told.isEmpty() ? "" : told + " ") + change.name, b -> b, change.body);
        }
        if (base.path("whole").asBoolean(false)) return;
        prepare(brokers, setup);
        compare(brokers, api, version, told + " bytes cut by one", b -> cut(b, b.remaining() - 1), body);
        prepare(brokers, setup);
        compare(brokers, api, version, told + " bytes cut by half", b -> cut(b, b.remaining() / 2), body);
        prepare(brokers, setup);
        compare(brokers, api, version, told + " bytes and one more", b -> cut(b, b.remaining() + 1), body);
        boolean flexible = api.requestHeaderVersion(version) >= 2;
        // Where the body begins: after key, version, correlation, the client's name, and the tags of flexible headers.
        int begin = 2 + 2 + 4 + 2 + 4 + (flexible ? 1 : 0);
        byte[] huge = flexible ? new byte[] {-1, -1, -1, -1, 7} : new byte[] {127, -1, -1, -1};
        byte[] negative = flexible ? new byte[] {0} : new byte[] {-1, -1, -1, -2};
        for (int at = begin; at < begin + 60; at++) {
            int place = at;
            for (byte[] number : new byte[][] {huge, negative}) {
                String name = told + (number == huge ? " huge" : " negative") + " number at " + (place - begin);
                // Setting up takes time; whether this place counts anything can be told before.
                ByteBuffer sample;
                try {
                    sample = bytes(api, version, 0, request(api, filled(body, brokers[0]), version));
                } catch (java.lang.reflect.InvocationTargetException | RuntimeException e) {
                    continue; // This version can't say it.
                }
                if (!counts(sample, place, number.length)) continue;
                prepare(brokers, setup);
                compare(brokers, api, version, name, b -> with(b, place, number), body);
            }
        }
    }

    /** Words for trying out what a version can say. */
    static void given(Broker broker) {
        for (String word : new String[] {"$MEMBER", "$TOPIC"}) broker.given.putIfAbsent(word, "word");
        for (String word : new String[] {"$GENERATION", "$EPOCH"}) broker.given.putIfAbsent(word, 1);
        broker.given.putIfAbsent("$ID", "AAAAAAAAAAAAAAAAAAAB_A");
    }

    static boolean prepare(Broker[] brokers, String setup) throws Exception {
        int number = fresh;
        if (!setup.isEmpty()) number = ++fresh;
        for (Broker broker : brokers) {
            try {
                prepare(broker, setup, number);
            } catch (IOException e) {
                broker.close();
                prepare(broker, setup, number);
            }
        }
        return true;
    }

    static void wrongVersions(Broker[] brokers, ApiKeys api, short min, short max) throws Exception {
        for (int version : new int[] {min - 1, max + 1, 99, -1}) {
            ByteBuffer bytes = ByteBuffer.allocate(64);
            bytes.putShort(api.id).putShort((short) version).putInt(7).putShort((short) 4).put("diff".getBytes()).putInt(0).flip();
            say(brokers, api, (short) 0, "version " + (version == min - 1 ? "below the first" : version == max + 1 ? "above the last" : "" + version), new ByteBuffer[] {bytes, bytes});
        }
    }

    static void versions(Broker broker) throws Exception {
        for (JsonNode key : ask(broker, ApiKeys.API_VERSIONS, 3, "{'clientSoftwareName':'diff','clientSoftwareVersion':'1'}").get("apiKeys"))
            broker.versions.put((short) key.get("apiKey").asInt(), new short[] {(short) key.get("minVersion").asInt(), (short) key.get("maxVersion").asInt()});
    }

    static int otherwise;

    /** Prints what was found of one base, the versions that answer alike in one line. */
    static void tell() {
        disagreements.forEach((key, at) -> {
            String[] parts = key.split("\n", 2);
            List<Short> all = new ArrayList<>(new TreeSet<>(at));
            String shown = all.size() == 1 ? "v" + all.get(0) : "v" + all.get(0) + "-" + all.get(all.size() - 1);
            otherwise += at.size();
            System.out.println(parts[0] + " " + shown + " " + parts[1]);
        });
        disagreements.clear();
    }

    public static void main(String[] args) throws Exception {
        Broker[] brokers = {new Broker(args[0]), new Broker(args[1])};
        for (Broker broker : brokers) versions(broker);
        JsonNode bases = JSON.readTree(new File(args[2]));
        Set<String> only = args.length > 3 ? new HashSet<>(Arrays.asList(args[3].split(","))) : Set.of();
        // What requests that change nothing are about.
        for (Broker broker : brokers) {
            for (int attempt = 0; attempt < 200 && ask(broker, ApiKeys.FIND_COORDINATOR, 3, "{'key':'group-0','keyType':0}").get("errorCode").asInt() != 0; attempt++) Thread.sleep(50);
            prepare(broker, "topic records member", 0);
            ask(broker, ApiKeys.LEAVE_GROUP, 1, "{'groupId':'$GROUP','memberId':'$MEMBER'}");
            prepare(broker, "committed", 0);
            for (String word : new String[] {"TOPIC", "ID", "GROUP"}) {
                String shared = word.equals("TOPIC") ? "$SHARED" : "$SHARED" + word;
                broker.given.put(shared, broker.given.get("$" + word));
            }
        }
        for (JsonNode base : bases) {
            ApiKeys api = Arrays.stream(ApiKeys.values()).filter(k -> k.name.equals(base.get("api").asText())).findFirst().orElseThrow();
            if (!only.isEmpty() && !only.contains(api.name)) continue;
            short[] ours = brokers[0].versions.get(api.id), theirs = brokers[1].versions.get(api.id);
            if (ours == null || theirs == null) {
                System.out.println("# " + api.name + " isn't served by both");
                continue;
            }
            short min = (short) Math.max(ours[0], theirs[0]), max = (short) Math.min(ours[1], theirs[1]);
            long began = System.nanoTime();
            int before = said;
            for (short version = min; version <= max; version++) base(brokers, base, api, version);
            if (!base.path("whole").asBoolean(false)) wrongVersions(brokers, api, theirs[0], theirs[1]);
            tell();
            System.err.printf("%s: %d requests, %d ms%n", api.name, said - before, (System.nanoTime() - began) / 1_000_000);
        }
        System.out.println("= " + said + " requests, " + otherwise + " answered otherwise");
    }
}
