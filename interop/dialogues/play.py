"""Plays dialogues of groups (crates/group/testdata/dialogues) against a running broker, ours or
Apache Kafka, and shows where its answers differ.

    python3 play.py HOST:PORT FILE...

The broker has the topics orders, payments, audit and reborn with 8 partitions, one partition of
`__consumer_offsets` or any number, no group of a dialogue, and the dialogue's
`group.initial.rebalance.delay.ms` (3000 where it doesn't say). Time is real here: sessions whose
margins are a few milliseconds differ. A dialogue ends at the first line that changes another key
or the leader, and lines that need ids of topics are left out. At a draw of votes Kafka's choice is
arbitrary. Exits 1 if anything differs.
"""

import queue
import re
import sys
import threading
import time

from verbs import VERBS, Words
from wire import ask

# How long it takes to be sure that nobody is answered who should wait, and how late an answer
# may be on a busy machine.
AT_ONCE = 0.1
LATE = 3.0
GIVEN = re.compile(r"(.*)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Clients:
    """Who asks, each on a connection of its own; and the ids that the broker gave them."""

    def __init__(self, address):
        self.address = address
        self.answers = queue.Queue()
        self.ids = {}
        self.asked_at = time.monotonic()

    def long(self, id):
        return self.ids.get(id, id)

    def short(self, id):
        known = (short for short, long in self.ids.items() if long == id)
        return next(known, id)

    def ask(self, caller, line):
        words = Words(line, self.long)
        api, version, body, read = VERBS[words.verb](words)
        client = words.pairs.get("client", "c")
        self.asked_at = time.monotonic()

        def run():
            try:
                self.answers.put((caller, read(ask(self.address, api, version, body, client))))
            except (OSError, EOFError) as error:
                self.answers.put((caller, lambda short, error=error: f"failed: {error}"))

        threading.Thread(target=run, daemon=True).start()

    def heard(self, until, expected):
        """The lines of all answers that come until then; for those expected it waits longer."""
        came = []
        while True:
            end = until if len(came) >= expected else until + LATE
            try:
                came.append(self.answers.get(timeout=max(end - time.monotonic(), 0.001)))
            except queue.Empty:
                break
        # First learn all ids, then speak of them.
        for caller, say in came:
            id = say(lambda id: id or "").split()
            given = GIVEN.fullmatch(id[1]) if id[0] == "joined" else None
            if given and id[1] not in self.ids.values():
                self.ids[f"{given[1]}#{caller}"] = id[1]
        return sorted(f"{caller} {say(lambda id: self.short(id or ''))}" for caller, say in came)


def in_order(line):
    """Members in the order of their short ids."""
    put = lambda m: "members=[" + " ".join(sorted(m[1].split())) + "]"
    return re.sub(r"members=\[(.*?)\]", put, line)


def steps(path):
    """(line, what comes of it), with what comes of no time at once added to the line before."""
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith(" "):
                if not re.match(r" at | *record ", line):
                    found[-1][1].append(in_order(line.strip()))
            elif line.strip() != "@ 0" and not line.startswith("#"):
                found.append((line, []))
    return found


def same(ours, theirs):
    """A refusal of a whole commit is told partition by partition."""
    if ours == theirs:
        return True
    refused = re.fullmatch(r"(\d+) (\w+)", ours)
    parts = re.fullmatch(r"(\d+) committed (.*)", theirs)
    if not refused or not parts or refused[1] != parts[1]:
        return False
    return all(part.endswith("=" + refused[2]) for part in parts[2].split())


def play(address, path):
    clients = Clients(address)
    differences = 0
    due = 0.0
    for line, expected in steps(path):
        mark, rest = line[:1], line[1:].strip()
        if mark == "!" or (mark == "%" and "initial.rebalance" not in rest):
            print(f"  ends at: {line}")
            break
        if mark not in "@>" or "topic-id" in rest or "topics-deleted" in rest:
            continue
        if mark == "@":
            due = max(due, clients.asked_at) + int(rest) / 1000
            heard = clients.heard(max(due, time.monotonic()) + AT_ONCE, len(expected))
        else:
            caller, rest = rest.split(" ", 1)
            clients.ask(int(caller), rest)
            heard = clients.heard(time.monotonic() + AT_ONCE, len(expected))
        heard = sorted(map(in_order, heard))
        expected = sorted(expected)
        if len(heard) != len(expected) or not all(map(same, expected, heard)):
            differences += 1
            print(f"  {line}\n    dialogue: {expected}\n    broker:   {heard}")
    print(f"{path}: {differences} differences")
    return differences


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    found = [play((host, int(port)), path) for path in sys.argv[2:]]
    sys.exit(1 if any(found) else 0)


if __name__ == "__main__":
    main()
