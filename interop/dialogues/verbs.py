"""The verbs of the dialogues as requests, and their answers as lines.

Each verb is a function of the line's words and of `long`, which knows the ids that the broker
gave; it returns (api, version, body, read). `read(reply)` gives a function that, told how ids are
written in dialogues, says the line.
"""

import re

from wire import Writer

ERRORS = {
    -1: "Unexpected", 0: "ok", 3: "UnknownTopic", 12: "OffsetMetadataTooLarge",
    15: "CoordinatorNotAvailable", 16: "NotCoordinator", 22: "IllegalGeneration",
    23: "InconsistentGroupProtocol", 24: "InvalidGroupId", 25: "UnknownMember",
    26: "InvalidSessionTimeout", 27: "RebalanceInProgress", 28: "InvalidCommitOffsetSize",
    68: "NonEmptyGroup", 69: "GroupIdNotFound", 79: "MemberIdRequired", 81: "GroupMaxSize",
    82: "FencedInstance", 86: "GroupSubscribedToTopic",
}


def name(code):
    return ERRORS.get(code, str(code))


class Words:
    """The words of a line behind the caller."""

    def __init__(self, line, long):
        self.all = line.split()
        self.verb, self.rest = self.all[0], self.all[1:]
        self.pairs = dict(word.split("=", 1) for word in self.rest if "=" in word)
        self.group = self.rest[0].strip('"') if self.rest else ""
        self.id = long(self.pairs.get("id", ""))
        self.instance = self.pairs.get("instance")
        self.generation = self.number("generation", -1)
        self.long = long

    def number(self, word, default):
        return int(self.pairs.get(word, default))

    def list(self, word):
        return [part for part in self.pairs.get(word, "").split(",") if part]

    def places(self):
        """`topic:0,1` words."""
        found = (re.fullmatch(r"([\w-]+):([\d,]+)", word) for word in self.rest)
        return [(m[1], [int(p) for p in m[2].split(",")]) for m in found if m]


def subscription(topics, owned):
    """What a consumer says of itself: its topics, and what it owns (`orders:0+1;payments:0`)."""
    body = Writer().i16(1).i32(len(topics))
    for topic in topics:
        body.text(topic)
    parts = [part.split(":") for part in owned.split(";") if part]
    body.i32(-1).i32(len(parts))
    for topic, partitions in parts:
        numbers = partitions.split("+")
        body.text(topic).i32(len(numbers))
        for number in numbers:
            body.i32(int(number))
    return bytes(body.bytes)


def with_bytes(id, raw):
    if not raw:
        return id
    return id + ("(topics)" if raw[0] == 0 else f"({raw.decode()})")


def roster(members):
    return "[" + " ".join(sorted(members)) + "]"


def join(words):
    version = 9 if "v9" in words.rest else 3 if "v3" in words.rest and not words.instance else 5
    body = Writer(version >= 6).text(words.group)
    body.i32(words.number("session", 10_000)).i32(words.number("rebalance", 60_000)).text(words.id)
    if version >= 5:
        body.text(words.instance)
    body.text(words.pairs.get("type", "consumer"))
    protocols = [(part + ":").split(":")[:2] for part in words.list("protocols")]
    if "protocols" not in words.pairs:
        protocols = [("range", "")]
    protocols = [(each, metadata.encode()) for each, metadata in protocols]
    if "topics" in words.pairs:
        metadata = subscription(words.list("topics"), words.pairs.get("owned", ""))
        protocols = [(words.pairs.get("protocol", "range"), metadata)]
    body.count(len(protocols))
    for each, metadata in protocols:
        body.text(each).data(metadata).end()
    if version >= 8:
        body.text(None)

    def member(reply):
        id = reply.text()
        if version >= 5:
            reply.text()
        return id, reply.data()

    def read(reply):
        reply.i32()
        error, generation = reply.i16(), reply.i32()
        if version >= 7:
            reply.text()
        protocol, leader = reply.text(), reply.text()
        skip = version >= 9 and reply.i8() != 0
        id, members = reply.text(), reply.items(member)

        def say(short):
            line = f"joined {short(id) or '-'} "
            if error:
                return line + name(error)
            line += f"generation={generation} protocol={protocol or '-'} leader={short(leader)}"
            if members:
                line += " members=" + roster(with_bytes(short(m), raw) for m, raw in members)
            return line + (" skip-assignment" if skip else "")

        return say

    return 11, version, body.end(), read


def sync(words):
    says_protocol = "type" in words.pairs or "protocol" in words.pairs
    version = 5 if says_protocol else 3
    body = Writer(version >= 4).text(words.group).i32(words.generation).text(words.id)
    body.text(words.instance)
    if version >= 5:
        body.text(words.pairs.get("type", "consumer")).text(words.pairs.get("protocol", "range"))
    assignments = words.list("assign")
    body.count(len(assignments))
    for part in assignments:
        id, _, raw = part.partition(":")
        body.text(words.long(id)).data(raw.encode()).end()

    def read(reply):
        reply.i32()
        error = reply.i16()
        if version >= 5:
            reply.text(), reply.text()
        raw = reply.data()
        return lambda short: "synced " + (name(error) if error else f"({raw.decode()})")

    return 14, version, body.end(), read


def beat(words):
    body = Writer().text(words.group).i32(words.generation).text(words.id).text(words.instance)

    def read(reply):
        reply.i32()
        error = reply.i16()
        return lambda short: f"beat {name(error)}"

    return 12, 3, body, read


def leave(words):
    leavers = [part.partition("/")[::2] for part in words.list("members")]
    body = Writer().text(words.group).i32(len(leavers))
    for id, instance in leavers:
        body.text(words.long(id)).text(instance or None)

    def read(reply):
        reply.i32()
        error = reply.i16()
        parts = reply.items(lambda r: (r.text(), r.text(), r.i16()))

        def say(short):
            if error:
                return name(error)
            each = (f"{short(m)}{'/' + i if i else ''}={name(e)}" for m, i, e in parts)
            return "left " + " ".join(each)

        return say

    return 13, 3, body, read


def commit(words):
    version = 4 if "retention" in words.pairs else 9 if "v9" in words.rest else 7
    body = Writer(version >= 8).text(words.group).i32(words.generation).text(words.id)
    if version >= 7:
        body.text(words.instance)
    if version <= 4:
        body.i64(words.number("retention", -1))
    offsets = [m for m in (re.fullmatch(r"([\w-]+):(\d+)=(\d+)/?(.*)", w) for w in words.rest) if m]
    body.count(len(offsets))
    for offset in offsets:
        body.text(offset[1]).count(1).i32(int(offset[2])).i64(int(offset[3]))
        if version >= 6:
            body.i32(-1)
        body.text(offset[4] or None).end().end()

    def topic(reply):
        return reply.text(), reply.items(lambda r: (r.i32(), r.i16()))

    def read(reply):
        reply.i32()
        parts = [(t, p, e) for t, partitions in reply.items(topic) for p, e in partitions]
        return lambda short: "committed " + " ".join(f"{t}:{p}={name(e)}" for t, p, e in parts)

    return 8, version, body.end(), read


def fetch(words):
    body = Writer().text(words.group)
    if "all" in words.rest:
        body.i32(-1)
    else:
        places(body, words)

    def partition(reply):
        at, offset, _, metadata, _ = (
            reply.i32(), reply.i64(), reply.i32(), reply.text(), reply.i16(),
        )
        said = str(offset) + ("/" + metadata if metadata else "")
        return at, "none" if offset < 0 else said

    def read(reply):
        reply.i32()
        topics = reply.items(lambda r: (r.text(), r.items(partition)))
        parts = [(t, p, said) for t, partitions in topics for p, said in partitions]
        if "all" in words.rest:
            parts.sort()
        return lambda short: " ".join(["fetched"] + [f"{t}:{p}={said}" for t, p, said in parts])

    return 9, 5, body, read


def places(body, words):
    body.i32(len(words.places()))
    for topic, partitions in words.places():
        body.text(topic).i32(len(partitions))
        for partition in partitions:
            body.i32(partition)


def forget(words):
    body = Writer().text(words.group)
    places(body, words)

    def read(reply):
        error = reply.i16()
        reply.i32()
        topics = reply.items(lambda r: (r.text(), r.items(lambda r: (r.i32(), r.i16()))))
        parts = [f"{t}:{p}={name(e)}" for t, partitions in topics for p, e in partitions]
        return lambda short: name(error) if error else "forgot " + " ".join(parts)

    return 47, 0, body, read


def names(words):
    body = Writer().i32(len(words.rest))
    for each in words.rest:
        body.text(each)
    return body


def delete(words):
    def read(reply):
        reply.i32()
        # The broker answers each group once, in no particular order.
        parts = dict(reply.items(lambda r: (r.text(), name(r.i16()))))
        return lambda short: "deleted " + " ".join(f"{g}={parts[g]}" for g in words.rest)

    return 42, 1, names(words), read


def describe(words):
    def member(reply):
        id, instance, _, _, _ = (
            reply.text(), reply.text(), reply.text(), reply.text(), reply.data(),
        )
        return id, instance, reply.data()

    def group(reply):
        reply.i16()
        shown = [reply.text() for _ in range(4)] + [reply.items(member)]
        reply.i32()
        return shown

    def read(reply):
        reply.i32()
        groups = reply.items(group)

        def say(short):
            lines = []
            for each, state, kind, protocol, members in groups:
                shown = roster(
                    with_bytes(short(m), raw) + ("/" + i if i else "") for m, i, raw in members
                )
                line = f"{each}: {state} type={kind} protocol={protocol} members={shown}"
                lines.append(f"{each}: GroupIdNotFound" if state == "Dead" else line)
            return " ".join(lines)

        return say

    return 15, 4, names(words).i8(0), read


def list_groups(words):
    body = Writer(flexible=True)
    for word in ("states", "types"):
        body.count(len(words.list(word)))
        for each in words.list(word):
            body.text(each)

    def group(reply):
        each, kind, state, protocol = (reply.text() for _ in range(4))
        return f"{each}:{state}:{protocol}:{kind}"

    def read(reply):
        reply.i32(), reply.i16()
        groups = sorted(reply.items(group))
        return lambda short: f"listed [{' '.join(groups)}]"

    return 16, 5, body.end(), read


VERBS = {
    "join": join, "sync": sync, "beat": beat, "leave": leave, "commit": commit, "fetch": fetch,
    "forget": forget, "delete": delete, "describe": describe, "list": list_groups,
}
