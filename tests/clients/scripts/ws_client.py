"""A WebSocket caller: `python ws_client.py URL NAME` does what the name says and prints what came of
it as JSON."""

import asyncio
import json
import sys
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

LARGE = 64 << 20
PATIENCE = 30

_, url, name = sys.argv


def opened(**options):
    limits = {"ping_interval": None, "max_size": LARGE, "open_timeout": PATIENCE}
    return connect(url, subprotocols=["chat"], **limits, **options)


async def echo():
    """Messages of many sizes, as text and as bytes, and what was agreed on at the beginning."""
    async with opened() as socket:
        same = []
        for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000):
            for message in ("x" * size, b"\x00" * size):
                await socket.send(message)
                same.append(await socket.recv() == message)
        headers = socket.response.headers
        return {
            "same": all(same),
            "subprotocol": socket.subprotocol,
            "extensions": headers.get("Sec-WebSocket-Extensions"),
            "correlation": headers.get("x-correlation-id"),
        }


async def large():
    """One message that no buffer holds."""
    async with opened(compression=None) as socket:
        message = bytes(range(256)) * (32 << 12)
        await socket.send(message)
        return await socket.recv() == message


async def fragments():
    async with opened() as socket:
        await socket.send(["one", "two", "three"])
        return await socket.recv()


async def ping():
    async with opened() as socket:
        latency = await (await socket.ping())
        return latency < PATIENCE


async def pushed():
    """The upstream sends, and nobody asks."""
    async with opened() as socket:
        return [message async for message in socket] == [str(number) for number in range(1000)]


async def close():
    """Who closes how."""
    async with opened() as socket:
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            frame = closed.rcvd
            return {"code": frame.code, "reason": frame.reason} if frame else None
    return "it goes on"


async def leave():
    """The caller goes first."""
    async with opened() as socket:
        await socket.send("hello")
        await socket.recv()
        await socket.close(4002, "enough")
        return {"code": socket.close_code}


async def idle():
    """How long nothing may be said, in milliseconds."""
    async with opened() as socket:
        await socket.send("hello")
        await socket.recv()
        began = time.monotonic()
        try:
            await asyncio.wait_for(socket.recv(), PATIENCE)
        except ConnectionClosed:
            return int((time.monotonic() - began) * 1000)
    return None


async def refused():
    """What comes in place of an upgrade."""
    try:
        async with opened():
            return "it was taken"
    except InvalidStatus as refusal:
        response = refusal.response
        return {"status": response.status_code, "body": response.body.decode()}


async def many():
    """A hundred at the same time."""

    async def talk(number):
        async with opened() as socket:
            for turn in range(20):
                message = f"{number} {turn}"
                await socket.send(message)
                if await socket.recv() != message:
                    return False
            return True

    return all(await asyncio.gather(*(talk(number) for number in range(100))))


async def hold():
    """Stays until it is told to go."""
    async with opened() as socket:
        await socket.send("hello")
        await socket.recv()
        print(json.dumps("open"), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await socket.send("still there?")
        return await socket.recv()


print(json.dumps(asyncio.run(globals()[name]())))
