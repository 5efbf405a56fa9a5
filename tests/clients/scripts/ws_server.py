"""A WebSocket server: `python ws_server.py PORT`. What it does is in the path."""

import asyncio
import http
import sys

from websockets.asyncio.server import serve

LARGE = 64 << 20


async def handler(connection):
    path = connection.request.path
    if path == "/close":
        await connection.close(4001, "as it was told")
    elif path == "/gone":
        # Without a word, as a process does that is killed.
        connection.transport.abort()
    elif path == "/push":
        for number in range(1000):
            await connection.send(f"{number}")
    else:
        async for message in connection:
            await connection.send(message)


def refuse(connection, request):
    if request.path == "/refused":
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not you\n")
    return None


async def main():
    port = int(sys.argv[1])
    server = serve(
        handler,
        "127.0.0.1",
        port,
        process_request=refuse,
        max_size=LARGE,
        subprotocols=["chat"],
        # What is idle here stays idle.
        ping_interval=None,
    )
    async with server as running:
        await running.serve_forever()


asyncio.run(main())
