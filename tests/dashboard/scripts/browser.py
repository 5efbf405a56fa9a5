"""A Chromium that notices what goes wrong in its pages, and callers beside it."""

import contextlib
import json
import shutil
import sys
import urllib.error
import urllib.request

from playwright.sync_api import sync_playwright

ADMIN = sys.argv[1]
PROXY = sys.argv[2]
LIVE = "#link[data-link=live]"
# How long anything may take on a machine that has other things to do.
PATIENCE_MS = 20_000


@contextlib.contextmanager
def browser():
    """A page, and an assertion that its console stayed quiet."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "there is no Chromium; tests/run installs it"
    with sync_playwright() as playwright:
        # As root it refuses to run with its sandbox; all that it loads here is ours.
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


def page_of(running, complaints, **options):
    page = running.new_context(**options).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


@contextlib.contextmanager
def page(refused=(), **options):
    """Chromium itself complains of every status above 399; those in `refused` are meant."""
    complaints = []
    with browser() as running:
        yield page_of(running, complaints, **options)
    complaints = [text for text in complaints if not any(f"status of {status}" in text for status in refused)]
    assert not complaints, complaints


def visit(page, fragment=""):
    page.goto(f"{ADMIN}/#/{fragment}")
    page.wait_for_selector(LIVE)


def call(path, correlation_id=None):
    """A call through the proxy; its status."""
    headers = {"x-correlation-id": correlation_id} if correlation_id else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(PROXY + path, headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def post(path, body):
    request = urllib.request.Request(ADMIN + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"]


def see(page, selector, text):
    """Waits until an element that fits has the text."""
    page.locator(selector, has_text=text).first.wait_for()
