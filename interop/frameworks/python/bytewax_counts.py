"""Bytewax: a dataflow from a topic that counts by key into another one, ended without a word and gone on with from its recovery store."""

import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta

from confluent_kafka import Consumer, Producer, TopicPartition, OFFSET_BEGINNING

RECORDS = int(os.environ.get("RECORDS", "3000"))
KEYS = 20


def flow():
    import bytewax.operators as op
    from bytewax.connectors.kafka import KafkaSinkMessage
    from bytewax.connectors.kafka import operators as kop
    from bytewax.dataflow import Dataflow

    brokers, topic, out = os.environ["BOOT"].split(","), os.environ["TOPIC"], os.environ["OUT"]
    flow = Dataflow("counts")
    read = kop.input("in", flow, brokers=brokers, topics=[topic], tail=True, batch_size=50)
    keyed = op.map("key", read.oks, lambda m: (m.key.decode(), m.value.decode()))
    counted = op.stateful_map("count", keyed, lambda state, value: (((state or 0) + 1),) * 2)
    told = op.map("tell", counted, lambda pair: KafkaSinkMessage(pair[0].encode(), str(pair[1]).encode()))
    kop.output("out", told, brokers=brokers, topic=out)
    return flow


if os.environ.get("BYTEWAX_CHILD"):
    from bytewax.recovery import RecoveryConfig
    from bytewax.run import cli_main

    cli_main(flow(), epoch_interval=timedelta(seconds=1), recovery_config=RecoveryConfig(os.environ["STORE"]))
    sys.exit(0)

bootstrap = sys.argv[1]
run = f"{os.getpid()}-{int(time.time())}"
topic, out = f"bytewax-in-{run}", f"bytewax-out-{run}"
producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
for name in (topic, out):
    producer.list_topics(name)
time.sleep(2)
with tempfile.TemporaryDirectory() as store:
    from bytewax.recovery import init_db_dir
    from pathlib import Path

    init_db_dir(Path(store), 1)
    env = dict(os.environ, BYTEWAX_CHILD="1", BOOT=bootstrap, TOPIC=topic, OUT=out, STORE=store)
    start = lambda: subprocess.Popen([sys.executable, __file__], env=env)
    child = start()
    for n in range(RECORDS):
        producer.produce(topic, key=b"k%d" % (n % KEYS), value=b"v%d" % n)
        producer.poll(0)
        time.sleep(float(os.environ.get("PAUSE", "0.004")))
        if n in (RECORDS // 3, 2 * RECORDS // 3):
            child.kill()
            child.wait()
            child = start()
        if child.poll() is not None:
            print("bytewax ended by itself, started again", child.returncode)
            child = start()
    assert producer.flush(60) == 0
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": f"bytewax-{run}", "auto.offset.reset": "earliest"})
    reader.assign([TopicPartition(out, p, OFFSET_BEGINNING) for p in reader.list_topics(out, 10).topics[out].partitions])
    counts, until = {}, time.time() + 90
    while sum(counts.values()) < RECORDS and time.time() < until:
        message = reader.poll(1)
        if child.poll() is not None:
            child = start()
        if message is not None and message.error() is None:
            counts[message.key()] = max(counts.get(message.key(), 0), int(message.value()))
    child.kill()
    child.wait()
assert sum(counts.values()) == RECORDS, sum(counts.values())
print("bytewax:", RECORDS, "records counted by", len(counts), "keys, killed twice on the way")
