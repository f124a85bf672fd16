"""Quix Streams over a cluster: records are counted by key in a state store with its changelog, and the counts written to a topic."""

import os
import sys
import tempfile
import threading
import time

from quixstreams import Application

RECORDS = 300
run = f"{os.getpid()}-{int(time.time())}"
app = Application(
    broker_address=sys.argv[1],
    consumer_group=f"quix-{run}",
    auto_offset_reset="earliest",
    processing_guarantee="at-least-once",
    state_dir=tempfile.mkdtemp(),
    commit_interval=1,
    loglevel="WARNING",
)
source = app.topic(f"quix-in-{run}", key_deserializer="str", value_deserializer="json", value_serializer="json")
sink = app.topic(f"quix-out-{run}", value_serializer="json")
with app.get_producer() as producer:
    for i in range(RECORDS):
        message = source.serialize(key=f"k{i % 5}", value={"n": i})
        producer.produce(topic=source.name, key=message.key, value=message.value)
seen = []


def count(value, state):
    state.set("count", state.get("count", 0) + 1)
    seen.append(state.get("count"))
    if len(seen) == RECORDS:
        threading.Timer(3, app.stop).start()
    return {"count": state.get("count")}


app.dataframe(source).apply(count, stateful=True).to_topic(sink)
guard = threading.Timer(60, lambda: os._exit(1))
guard.start()
app.run()
guard.cancel()
assert len(seen) == RECORDS and max(seen) == RECORDS // 5, seen[-5:]
print("quix: ok")
