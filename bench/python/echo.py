# SPDX-License-Identifier: MIT
# echo.py CONNECTIONS ROUNDS: as bench/lfut/echo.lua, by asyncio's streams.
import asyncio, sys, time

connections, rounds = int(sys.argv[1]), int(sys.argv[2])


async def serve(reader, writer):
    try:
        while True:
            writer.write(await reader.readexactly(64))
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    text = b"x" * 64
    for _ in range(rounds):
        writer.write(text)
        assert await reader.readexactly(64) == text
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    start = time.perf_counter()
    await asyncio.gather(*[ask(port) for _ in range(connections)])
    print(connections * rounds / (time.perf_counter() - start))


asyncio.run(main())
