"""Faust over a cluster: words are repartitioned and counted in a table with its changelog."""

import asyncio
import os
import sys
import time

import faust

RECORDS = 500
bootstrap, sys.argv[1:] = sys.argv[1], ["worker", "-l", "warn"]
run = f"{os.getpid()}-{int(time.time())}"
app = faust.App(f"faust-{run}", broker=f"kafka://{bootstrap.split(',')[0]}", store="memory://", topic_partitions=4, web_enabled=False)
words = app.topic(f"faust-words-{run}", key_type=str, value_type=str, partitions=4)
counts = app.Table("counts", default=int)


@app.agent(words)
async def count(stream):
    async for word in stream.group_by(lambda word: word, name="word"):
        counts[word] += 1


@app.task
async def feed():
    await asyncio.sleep(2)
    for i in range(RECORDS):
        await words.send(key=str(i), value=f"w{i % 5}")
    for _ in range(600):
        if sum(counts.values()) >= RECORDS:
            break
        await asyncio.sleep(0.1)
    counted = dict(counts.items())
    right = counted == {f"w{i}": RECORDS // 5 for i in range(5)}
    print("faust: ok" if right else f"faust: counted {counted}", file=sys.__stdout__, flush=True)
    os._exit(0 if right else 1)


app.main()
