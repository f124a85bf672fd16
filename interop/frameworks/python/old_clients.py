"""Clients that nobody works on any more, as they spoke to Kafka 0.8 to 2.0: kafka-python 1.4.7 and pykafka 2.8.0 write, share, commit."""

import os
import sys
import time

from kafka import KafkaConsumer, KafkaProducer
from pykafka import KafkaClient
from pykafka.common import CompressionType, OffsetType

RECORDS = 200
bootstrap = sys.argv[1]
run = f"{os.getpid()}-{int(time.time())}"


def kafka_python(version):
    topic = f"old-{'-'.join(map(str, version))}-{run}"
    servers = bootstrap.split(",")
    producer = KafkaProducer(bootstrap_servers=servers, api_version=version, acks="all", compression_type="gzip", retries=5)
    for i in range(RECORDS):
        producer.send(topic, b"v%d" % i, key=b"k%d" % i)
    producer.flush()
    has_groups = version >= (0, 9)
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=servers,
        api_version=version,
        group_id=f"g-{topic}" if has_groups else None,
        auto_offset_reset="earliest",
        consumer_timeout_ms=15_000,
        enable_auto_commit=False,
    )
    values = set()
    for message in consumer:
        values.add(message.value)
        if len(values) == RECORDS:
            break
    if has_groups:
        consumer.commit()
    consumer.close()
    assert len(values) == RECORDS, len(values)
    print("old: kafka-python 1.4.7 as", version)


def pykafka(version):
    client = KafkaClient(hosts=bootstrap, broker_version=version)
    topic = client.topics[f"pykafka-{version}-{run}".encode()]
    for compression in (CompressionType.NONE, CompressionType.GZIP):
        with topic.get_producer(compression=compression, min_queued_messages=1, linger_ms=50) as producer:
            for i in range(RECORDS // 2):
                producer.produce(b"m%d" % i)
    group = f"pykafka-{version}-{run}".encode()
    for managed in (False, True):
        settings = {"consumer_timeout_ms": 8000, "auto_offset_reset": OffsetType.EARLIEST}
        if managed:
            consumer = topic.get_balanced_consumer(group + b"-m", managed=True, reset_offset_on_start=True, **settings)
        else:
            consumer = topic.get_simple_consumer(consumer_group=group, **settings)
        count = sum(1 for _ in consumer)
        consumer.commit_offsets()
        consumer.stop()
        assert count == RECORDS, (managed, count)
    print("old: pykafka 2.8.0 as", version)


for version in ((0, 8, 2), (0, 9), (0, 10, 0), (0, 10, 1), (0, 11, 0), (2, 0, 0)):
    kafka_python(version)
for version in ("0.9.0", "0.10.2", "2.0.0"):
    pykafka(version)
print("old: ok")
