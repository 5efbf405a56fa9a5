"""A gRPC server of bytes: `python grpc_server.py PORT`. Its methods are those of METHODS below."""

import sys
import threading
from concurrent import futures

import grpc

# How many calls of Wait have begun, and how many were given up by their callers.
begun = given_up = 0
lock = threading.Lock()


def expand(request, _context):
    """As many messages as the request says, of so many bytes."""
    count, size = (int(word) for word in request.split())
    for number in range(count):
        yield str(number).encode().ljust(size, b".")


def collect(requests, _context):
    """How many messages came, of how many bytes."""
    sizes = [len(request) for request in requests]
    return f"{len(sizes)} {sum(sizes)}".encode()


def fail(request, context):
    """Ends with the status code that the request names."""
    context.set_trailing_metadata((("x-why", "asked for"), ("x-why-bin", b"\x00\xff")))
    context.abort(grpc.StatusCode[request.decode()], "as it was told: ö")


def fail_late(request, context):
    """Two messages, and then the status code that the request names."""
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode[request.decode()], "in the end")


def wait(_request, context):
    """Answers when nobody waits any more."""
    global begun, given_up
    gone = threading.Event()
    if not context.add_callback(gone.set):
        gone.set()
    with lock:
        begun += 1
    gone.wait(60)
    with lock:
        given_up += 1
    return b""


def remaining(_request, context):
    """The time that is left for the call, in milliseconds."""
    left = context.time_remaining()
    return b"none" if left is None else str(int(left * 1000)).encode()


def metadata(_request, context):
    """The fields that came with the call, one a line."""
    return "\n".join(f"{key}: {value}" for key, value in context.invocation_metadata()).encode()


METHODS = {
    "Echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Expand": grpc.unary_stream_rpc_method_handler(expand),
    "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, _: requests),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
    "Wait": grpc.unary_unary_rpc_method_handler(wait),
    "Begun": grpc.unary_unary_rpc_method_handler(lambda *_: str(begun).encode()),
    "GivenUp": grpc.unary_unary_rpc_method_handler(lambda *_: str(given_up).encode()),
    "Remaining": grpc.unary_unary_rpc_method_handler(remaining),
    "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
}


class Handlers(grpc.GenericRpcHandler):
    def service(self, handler_call_details):
        return METHODS.get(handler_call_details.method.rpartition("/")[2])


server = grpc.server(
    futures.ThreadPoolExecutor(max_workers=64),
    handlers=[Handlers()],
    options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
