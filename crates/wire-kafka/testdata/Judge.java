// Judges samples with Kafka's own message classes. Reads lines "Name version hex" from stdin,
// decodes each with the class of that name, encodes it again, and prints the lines whose bytes
// came out the same. What this release doesn't know, or reads differently, goes to stderr.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

public class Judge {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String[] parts = line.split(" ", -1);
            String verdict = judge(parts[0], Short.parseShort(parts[1]), parts[2]);
            if (verdict == null) System.out.println(line);
            else System.err.println(parts[0] + " v" + parts[1] + ": " + verdict);
        }
    }

    // The classes of data inside of other messages have the plain name.
    static boolean isData(String name) {
        return !name.matches(".*(Request|Response|Header)");
    }

    static String judge(String name, short version, String hex) {
        try {
            Class<?> type = Class.forName("org.apache.kafka.common.message." + name + (isData(name) ? "" : "Data"));
            Message message = (Message) type.getDeclaredConstructor().newInstance();
            if (version < message.lowestSupportedVersion() || version > message.highestSupportedVersion()) return "unknown version";
            ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(hex));
            message.read(new ByteBufferAccessor(bytes), version);
            if (bytes.hasRemaining()) return bytes.remaining() + " bytes left";
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBuffer again = ByteBuffer.allocate(message.size(cache, version));
            message.write(new ByteBufferAccessor(again), cache, version);
            return HexFormat.of().formatHex(again.array()).equals(hex) ? null : "DIFFERS: " + HexFormat.of().formatHex(again.array());
        } catch (Exception e) {
            return "ERROR " + e;
        }
    }
}
