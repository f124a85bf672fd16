"""Two exporters of lag, as they are: what they tell Prometheus of a group is what the group has committed and not read.

Arguments: where the nodes are; the directory with the exporters' programs.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request

from kafka import KafkaConsumer, KafkaProducer

RECORDS, READ = 500, 123
LIMIT_SECONDS = 90
bootstrap, programs = sys.argv[1:3]
servers = bootstrap.split(",")
run = f"{os.getpid()}-{int(time.time())}"
topic, group = f"exported-{run}", f"lagging-{run}"

KMINION = f"""
kafka: {{brokers: [{bootstrap}], clientId: kminion}}
minion:
  consumerGroups: {{enabled: true, scrapeMode: adminApi, granularity: partition}}
  topics: {{granularity: partition}}
  logDirs: {{enabled: true}}
exporter: {{namespace: kminion, host: 127.0.0.1, port: %d}}
"""


def read_some():
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", retries=5)
    for i in range(RECORDS):
        producer.send(topic, b"v%d" % i, partition=0)
    producer.flush()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=1,
        consumer_timeout_ms=30_000,
    )
    for _, _ in zip(range(READ), consumer):
        pass
    consumer.commit()
    consumer.close()


def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def told(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
            return page.read().decode()
    except OSError:
        return ""


def wanted(name, lines):
    """Each line of what is wanted stands among the metrics before the time is up."""
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config, tempfile.TemporaryFile() as log:
        config.write(KMINION % port)
        config.flush()
        command = {
            "kafka_exporter": [*(f"--kafka.server={s}" for s in servers), "--kafka.version=2.8.0", f"--web.listen-address=127.0.0.1:{port}"],
            "kminion": [],
        }[name]
        env = {**os.environ, "CONFIG_FILEPATH": config.name}
        exporter = subprocess.Popen([os.path.join(programs, name), *command], env=env, stdout=log, stderr=log)
        try:
            until = time.monotonic() + LIMIT_SECONDS
            missing = lines
            while missing and time.monotonic() < until and exporter.poll() is None:
                there = set(told(port).splitlines())
                missing = [line for line in lines if line not in there]
                time.sleep(0.5)
        finally:
            exporter.kill()
            exporter.wait()
        if missing:
            log.seek(0)
            sys.exit(f"{name} doesn't tell {missing}; its last words: {log.read().decode()[-2000:]}")
    print(f"exporters: {name} tells the lag")


read_some()
left = RECORDS - READ
wanted(
    "kafka_exporter",
    [
        f'kafka_consumergroup_lag{{consumergroup="{group}",partition="0",topic="{topic}"}} {left}',
        f'kafka_topic_partition_current_offset{{partition="0",topic="{topic}"}} {RECORDS}',
    ],
)
wanted(
    "kminion",
    [
        f'kminion_kafka_consumer_group_topic_partition_lag{{group_id="{group}",partition_id="0",topic_name="{topic}"}} {left}',
        f'kminion_kafka_topic_partition_high_water_mark{{partition_id="0",topic_name="{topic}"}} {RECORDS}',
    ],
)
print("exporters: ok")
