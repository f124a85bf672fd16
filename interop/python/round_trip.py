"""librdkafka, through confluent-kafka, against a running node: create a topic, write with every
compression, read everything back and compare. Arguments: bootstrap address, topic, records."""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = 3


def create(bootstrap, topic):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, PARTITIONS)]).values():
        future.result(30)
    end = time.monotonic() + 30
    while topic not in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < end, "the topic that was created isn't listed"


def write(bootstrap, topic, records):
    """Gives (partition, offset) -> (key, value, header)."""
    written = {}
    failures = []

    def delivered(error, message):
        if error is not None:
            failures.append(error)
        else:
            place = (message.partition(), message.offset())
            written[place] = (message.key(), message.value(), b"python")

    for compression in COMPRESSIONS:
        producer = Producer({
            "bootstrap.servers": bootstrap,
            "compression.type": compression,
            "enable.idempotence": True,
            "linger.ms": 5,
        })
        for i in range(records):
            producer.produce(topic, key=f"key-{i}", value=f"{compression}-{i}",
                             headers=[("from", b"python")], on_delivery=delivered)
            producer.poll(0)
        assert producer.flush(30) == 0, "records were left unsent"
    assert not failures, failures
    assert len(written) == records * len(COMPRESSIONS), "two records got one offset"
    return written


def read(bootstrap, topic, expected):
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "unused",
        "enable.auto.commit": False,
    })
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    seen = {}
    end = time.monotonic() + 30
    while len(seen) < expected and time.monotonic() < end:
        message = consumer.poll(0.2)
        if message is None:
            continue
        assert message.error() is None, message.error()
        place = (message.partition(), message.offset())
        seen[place] = (message.key(), message.value(), dict(message.headers())["from"])
    total = sum(consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1]
                for p in range(PARTITIONS))
    assert total == expected, f"the end offsets add up to {total}, not {expected}"
    consumer.close()
    return seen


def main():
    bootstrap, topic, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
    create(bootstrap, topic)
    written = write(bootstrap, topic, records)
    assert read(bootstrap, topic, len(written)) == written, "what was read differs"
    print(f"python: {len(written)} records there and back")


main()
