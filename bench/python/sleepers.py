# SPDX-License-Identifier: MIT
# sleepers.py N [SECONDS]: as bench/lfut/sleepers.lua, by asyncio.
import asyncio, sys, time

n, seconds = int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1


async def sleep(seconds):
    await asyncio.sleep(seconds)


async def main():
    start = time.perf_counter()
    tasks = [asyncio.create_task(sleep(seconds)) for _ in range(n)]
    for task in tasks:
        await task
    print(time.perf_counter() - start)


asyncio.run(main())
