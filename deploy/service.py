"""A service for the example stack: answers, and calls its peer through its own Fusebox.

GET /        calls the peer and says what came back; passes the correlation id on
GET /hello   says who this is
GET /health  200, or 503 while it is told to be down: POST /down, POST /up
"""

import http.server
import os
import urllib.error
import urllib.request

NAME = os.environ["SERVICE_NAME"]
PEER = os.environ["PEER_URL"]
IDS = ("x-correlation-id", "traceparent")
is_down = False


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if is_down:
            self.answer(503, f"{NAME} is down\n")
        elif self.path == "/":
            self.answer(*self.call_peer())
        else:
            self.answer(200, f"{NAME} is well\n")

    def do_POST(self):
        global is_down
        is_down = self.path == "/down"
        self.answer(200, "noted\n")

    def call_peer(self):
        headers = {name: self.headers[name] for name in IDS if self.headers[name]}
        request = urllib.request.Request(f"{PEER}/hello", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return 200, f"{NAME} asked and heard: {response.read().decode()}"
        except urllib.error.HTTPError as error:
            return 502, f"{NAME} asked and got {error.code}: {error.read().decode()}\n"
        except OSError as error:
            return 502, f"{NAME} asked in vain: {error}\n"

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("", 3000), Service).serve_forever()
