"""A gRPC caller: `python grpc_client.py ADDRESS NAME [ARGUMENT…]` makes the calls of that name and
prints what came of them as JSON."""

import json
import queue
import sys
import time

import grpc

# Longer than any call here may take.
PATIENCE = 30

_, address, name, *arguments = sys.argv
channel = grpc.insecure_channel(
    address,
    options=[
        ("grpc.max_receive_message_length", -1),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ],
)


def method(kind, name):
    return getattr(channel, kind)(f"/test.Service/{name}", None, None)


def unary(name):
    return method("unary_unary", name)


def told(error):
    """What a caller sees of a failed call."""
    return {
        "code": error.code().name,
        "details": error.details(),
        "trailers": {key: str(value) for key, value in error.trailing_metadata() or ()},
    }


def attempt(name, request, **options):
    try:
        return {"answer": unary(name)(request, timeout=PATIENCE, **options).decode()}
    except grpc.RpcError as error:
        return told(error)


def echo():
    return [unary("Echo")(b"x" * size, timeout=PATIENCE) == b"x" * size for size in (0, 1, 100_000)]


def large():
    """A message of so many bytes, there and back."""
    message = bytes(range(256)) * (int(arguments[0]) // 256)
    return unary("Echo")(message, timeout=PATIENCE) == message


def collect():
    messages = (b"x" * 1000 for _ in range(500))
    return method("stream_unary", "Collect")(messages, timeout=PATIENCE).decode()


def expand():
    messages = list(method("unary_stream", "Expand")(b"500 1000", timeout=PATIENCE))
    return [len(messages), sum(map(len, messages))]


def chat():
    """Each message is sent when the one before has come back."""
    to_send = queue.SimpleQueue()
    answers = method("stream_stream", "Chat")(iter(to_send.get, None), timeout=PATIENCE)
    seen = []
    for number in range(20):
        to_send.put(str(number).encode())
        seen.append(next(answers).decode())
    to_send.put(None)
    return {"seen": seen, "rest": [answer.decode() for answer in answers], "code": answers.code().name}


def fail():
    """Each of these status codes."""
    return {code: attempt("Fail", code.encode()) for code in arguments}


def fail_late():
    answers = method("unary_stream", "FailLate")(b"DATA_LOSS", timeout=PATIENCE)
    seen = []
    try:
        for answer in answers:
            seen.append(answer.decode())
    except grpc.RpcError as error:
        return {"seen": seen, **told(error)}
    return {"seen": seen}


def deadline():
    """A call that takes longer than its caller waits, and what the upstream was told of that."""
    began = time.monotonic()
    try:
        unary("Wait")(b"", timeout=0.3)
        code = None
    except grpc.RpcError as error:
        code = error.code().name
    took = time.monotonic() - began
    return {
        "code": code,
        "took_ms": int(took * 1000),
        "remaining_ms": unary("Remaining")(b"", timeout=5).decode(),
    }


def reaches(name, count):
    """Whether a number that the upstream tells gets there."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if int(unary(name)(b"", timeout=PATIENCE)) == count:
            return True
    return False


def cancel():
    """Calls that are given up, until the upstream has seen all of it."""
    calls = [unary("Wait").future(b"", timeout=PATIENCE) for _ in range(5)]
    arrived = reaches("Begun", 5)
    for call in calls:
        call.cancel()
    codes = sorted({call.code().name for call in calls})
    return {"arrived": arrived, "codes": codes, "seen": reaches("GivenUp", 5)}


def metadata():
    given = (("x-plain", "a b"), ("x-bytes-bin", b"\x00\xff\x80"), ("x-correlation-id", "req-grpc"))
    answer, call = unary("Metadata").with_call(b"", timeout=PATIENCE, metadata=given)
    return {
        "arrived": answer.decode(),
        "came_back": {key: str(value) for key, value in call.initial_metadata()},
    }


def many():
    """Calls at the same time on one channel."""
    count = int(arguments[0])
    echo = unary("Echo")
    calls = [echo.future(str(number).encode(), timeout=PATIENCE) for number in range(count)]
    return all(call.result() == str(number).encode() for number, call in enumerate(calls))


def one():
    """One call, however it ends."""
    return attempt("Echo", b"hello")


def stream():
    """One call that streams, however it ends."""
    try:
        return {"answers": len(list(method("unary_stream", "Expand")(b"3 1", timeout=PATIENCE)))}
    except grpc.RpcError as error:
        return told(error)


print(json.dumps(globals()[name]()))
