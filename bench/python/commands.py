# SPDX-License-Identifier: MIT
# commands.py N: as bench/lfut/commands.lua, by asyncio's subprocesses.
import asyncio, sys, time

n = int(sys.argv[1])


async def run(limit):
    async with limit:
        process = await asyncio.create_subprocess_exec(
            "true", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE)
        await process.communicate()
        assert process.returncode == 0


async def main():
    limit = asyncio.Semaphore(64)
    start = time.perf_counter()
    await asyncio.gather(*[run(limit) for _ in range(n)])
    print(n / (time.perf_counter() - start))


asyncio.run(main())
