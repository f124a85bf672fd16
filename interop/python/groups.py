"""Consumer groups of librdkafka, through confluent-kafka, against a running node that has the
topic written by round_trip.py: in each way of sharing, two members share its partitions, one
leaves, the other has all of them, and what was committed is there afterwards. Arguments:
bootstrap address, topic, records with each compression."""

import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

PARTITIONS = 3
WAYS = {
    "eager": {"partition.assignment.strategy": "range"},
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
    "static": {"partition.assignment.strategy": "range", "static": True},
    "consumer": {"group.protocol": "consumer"},
    "consumer-static": {"group.protocol": "consumer", "static": True},
}


def member(bootstrap, topic, group, way, name):
    config = dict(WAYS[way])
    if config.pop("static", False):
        config["group.instance.id"] = name
    if not way.startswith("consumer"):
        config.update({"session.timeout.ms": 6000, "heartbeat.interval.ms": 500})
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        **config,
    })
    consumer.subscribe([topic], on_revoke=lambda consumer, _: commit(consumer))
    return consumer


def commit(consumer):
    """So that what was read so far isn't read again by who gets the partitions."""
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as nothing_new:
        assert nothing_new.args[0].code() == KafkaError._NO_OFFSET, nothing_new


def until(what, done, members, seen):
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, f"not in time: {what}"
        for consumer in members:
            message = consumer.poll(0.05)
            if message is not None:
                assert message.error() is None, message.error()
                seen.add((message.partition(), message.offset()))


def parts(consumer):
    return {p.partition for p in consumer.assignment()}


def share(bootstrap, topic, way, expected):
    group, seen = f"{topic}-{way}", set()
    a = member(bootstrap, topic, group, way, "one")
    until(f"{way}: the first member has all", lambda: len(parts(a)) == PARTITIONS, [a], seen)
    b = member(bootstrap, topic, group, way, "two")

    def shared():
        return parts(a) and parts(b) and not parts(a) & parts(b) \
            and len(parts(a) | parts(b)) == PARTITIONS

    until(f"{way}: two members share", shared, [a, b], seen)
    until(f"{way}: everything is read", lambda: len(seen) == expected, [a, b], seen)
    commit(a)
    commit(b)
    a.close()
    until(f"{way}: who stays has all", lambda: len(parts(b)) == PARTITIONS, [b], seen)
    b.close()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = [ConsumerGroupTopicPartitions(group)]
    offsets = admin.list_consumer_group_offsets(asked)[group].result(30).topic_partitions
    total = sum(p.offset for p in offsets)
    assert total == expected, f"{way}: {total} records are committed, not {expected}"


def main():
    bootstrap, topic, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
    for way in WAYS:
        share(bootstrap, topic, way, records * 5)
    print(f"python: groups in {len(WAYS)} ways")


main()
