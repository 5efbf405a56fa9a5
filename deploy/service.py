"""A service for the example stack: answers, and calls its upstream through its own Fusebox.

GET /        calls the upstream, if it has one, and says what came back; passes the correlation id on
GET /health  200, or 503 as often as the knob says
POST /knob?failing=PERCENT   how many of its answers are 503 from now on: 0 to 100
"""

import http.server
import os
import random
import urllib.error
import urllib.parse
import urllib.request

NAME = os.environ["SERVICE_NAME"]
PORT = int(os.environ.get("PORT", "3000"))
UPSTREAM = os.environ.get("UPSTREAM_URL", "")
IDS = ("x-correlation-id", "x-task-id", "traceparent")
failing = 0


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if random.random() * 100 < failing:
            self.answer(503, f"{NAME} fails\n")
        elif self.path == "/" and UPSTREAM:
            self.answer(*self.call_upstream())
        else:
            self.answer(200, f"{NAME} is well\n")

    def do_POST(self):
        global failing
        asked = urllib.parse.urlsplit(self.path)
        try:
            percent = int(urllib.parse.parse_qs(asked.query)["failing"][0])
        except (KeyError, ValueError):
            percent = -1
        if asked.path != "/knob" or not 0 <= percent <= 100:
            self.answer(400, "POST /knob?failing=PERCENT, 0 to 100\n")
            return
        failing = percent
        self.answer(200, f"{NAME} fails {failing} % of its calls\n")

    def call_upstream(self):
        headers = {name: self.headers[name] for name in IDS if self.headers[name]}
        request = urllib.request.Request(UPSTREAM, headers=headers)
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

    def log_message(self, *_):
        """Calls are told by Fusebox."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


Server(("", PORT), Service).serve_forever()
