"""A collector of traces: `python collector.py PORT FAILURES [TLS_PORT CERTIFICATE KEY]`.

It reads what is posted to it with OpenTelemetry's own protobufs and answers the first so many posts
with 503. `GET /` tells what it took, as JSON.
"""

import base64
import gzip
import http.server
import json
import ssl
import sys
import threading

from google.protobuf.json_format import MessageToDict, ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

failures = int(sys.argv[2])
posts = []


def plain(value):
    """The value of an attribute as JSON has it."""
    (kind, inner), = value.items()
    return int(inner) if kind == "intValue" else inner


def attributes(pairs):
    return {pair["key"]: plain(pair["value"]) for pair in pairs}


def identifier(text):
    return base64.b64decode(text).hex() if text else ""


def span(read):
    return {
        "trace": identifier(read["traceId"]),
        "id": identifier(read["spanId"]),
        "parent": identifier(read.get("parentSpanId")),
        "state": read.get("traceState", ""),
        "name": read["name"],
        "kind": read["kind"],
        "startNs": int(read["startTimeUnixNano"]),
        "endNs": int(read["endTimeUnixNano"]),
        "attributes": attributes(read.get("attributes", [])),
        "events": [
            {"name": event["name"], "attributes": attributes(event.get("attributes", []))}
            for event in read.get("events", [])
        ],
        "status": read.get("status", {}).get("code", "STATUS_CODE_UNSET"),
    }


def read(body):
    message = ExportTraceServiceRequest.FromString(body)
    tree = MessageToDict(message)
    # What the protobufs do not know would be lost on the way there and back.
    again = ParseDict(tree, ExportTraceServiceRequest())
    assert again.SerializeToString(deterministic=True) == message.SerializeToString(
        deterministic=True
    ), "unknown fields"
    (resource,) = tree["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    return {
        "resource": attributes(resource["resource"]["attributes"]),
        "scope": scope["scope"]["name"],
        "schema": scope["schemaUrl"],
        "spans": [span(one) for one in scope["spans"]],
    }


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global failures
        body = self.rfile.read(int(self.headers["content-length"]))
        if failures > 0:
            failures -= 1
            self.answer(503, "text/plain", b"not now\n", {"retry-after": "0"})
            return
        is_gzip = self.headers.get("content-encoding") == "gzip"
        told = read(gzip.decompress(body) if is_gzip else body)
        told["path"] = self.path
        told["headers"] = {name.lower(): value for name, value in self.headers.items()}
        posts.append(told)
        # So many spans of each post are rejected as the sender is configured to ask for.
        rejected = int(self.headers.get("x-reject", 0))
        answer = ExportTraceServiceResponse()
        if rejected:
            answer.partial_success.rejected_spans = rejected
            answer.partial_success.error_message = "too old"
        done = answer.SerializeToString()
        self.answer(200, "application/x-protobuf", done, {})

    def do_GET(self):
        self.answer(200, "application/json", json.dumps(posts).encode(), {})

    def answer(self, status, kind, body, fields):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def listening(port):
    return http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Collector)


if len(sys.argv) > 3:
    protected = listening(sys.argv[3])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    protected.socket = context.wrap_socket(protected.socket, server_side=True)
    threading.Thread(target=protected.serve_forever, daemon=True).start()
listening(sys.argv[1]).serve_forever()
