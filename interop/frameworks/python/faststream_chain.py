"""FastStream over a cluster: a subscriber that publishes what it made of each record, and one that takes batches of it."""

import asyncio
import os
import sys
import time

from faststream import FastStream
from faststream.kafka import KafkaBroker

RECORDS = 200
broker = KafkaBroker(sys.argv[1].split(","), logger=None)
app = FastStream(broker, logger=None)
run = f"{os.getpid()}-{int(time.time())}"
got = []


@broker.subscriber(f"fs-in-{run}", group_id=f"fs-a-{run}", auto_offset_reset="earliest")
@broker.publisher(f"fs-out-{run}")
async def upper(text: str):
    return text.upper()


@broker.subscriber(f"fs-out-{run}", group_id=f"fs-b-{run}", auto_offset_reset="earliest", batch=True)
async def collect(texts: list[str]):
    got.extend(texts)


@app.after_startup
async def feed():
    for i in range(RECORDS):
        await broker.publish(f"m{i}", f"fs-in-{run}")
    for _ in range(600):
        if len(got) >= RECORDS:
            break
        await asyncio.sleep(0.1)
    app.exit()


asyncio.run(app.run())
assert sorted(got) == sorted(f"M{i}" for i in range(RECORDS)), len(got)
print("faststream: ok")
