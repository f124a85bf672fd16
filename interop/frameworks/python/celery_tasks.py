"""Celery over Kombu's transport for Kafka: tasks are sent to a queue that is a topic, a worker works on them and is killed once."""

import os
import subprocess
import sys
import tempfile
import time

from celery import Celery

TASKS = int(os.environ.get("TASKS", "300"))
run = os.environ.get("CELERY_RUN") or f"{os.getpid()}-{int(time.time())}"
bootstrap = os.environ.get("CELERY_BOOT") or sys.argv[1]
app = Celery("celery_tasks", broker=f"confluentkafka://{bootstrap.split(',')[0]}")
app.conf.update(
    task_default_queue=f"celery-{run}",
    broker_connection_retry_on_startup=True,
    broker_transport_options={"kafka_common_config": {"bootstrap.servers": bootstrap}},
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
)


@app.task
def note(path, number):
    with open(path, "a") as file:
        file.write(f"{number}\n")


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    env = dict(os.environ, CELERY_RUN=run, CELERY_BOOT=bootstrap)
    worker = lambda: subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "-P", "solo", "-l", "error", "--without-gossip", "--without-mingle", "--without-heartbeat"],
        cwd=here, env=env,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "done")
        open(path, "w").close()
        child = worker()
        for number in range(TASKS):
            note.delay(path, number)
            time.sleep(float(os.environ.get("PAUSE", "0.02")))
            if number == TASKS // 2:
                child.kill()
                child.wait()
                child = worker()
        done, until = [], time.time() + 120
        while len(set(done)) < TASKS and time.time() < until:
            time.sleep(1)
            done = open(path).read().split()
            if child.poll() is not None:
                child = worker()
        child.terminate()
        child.wait()
    print("celery:", len(set(done)), "of", TASKS, "tasks done,", len(done) - len(set(done)), "came again")
    sys.exit(0 if len(set(done)) == TASKS else 1)
