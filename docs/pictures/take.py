"""Takes pictures of what runs at this address: all upstreams in light, one breaker in dark, and the
table that this program prints in a terminal."""

import shutil
import sys

from playwright.sync_api import sync_playwright

from terminal import page as shown, printed

ADMIN, FOLDER, FUSEBOX = sys.argv[1:]
# Some outages of the demo, for a past to show.
PAST_MS = 330_000


def take(page, fragment, name, settled):
    page.goto(f"{ADMIN}/#/{fragment}")
    page.locator(settled).first.wait_for(timeout=60_000)
    page.locator(".heat-map").wait_for()
    page.wait_for_timeout(1_500)
    page.screenshot(path=f"{FOLDER}/{name}.png")


def take_top(page):
    text = printed([FUSEBOX, "top", "--once", "--admin", ADMIN], 118, 20)
    page.set_content(shown("fusebox top", text))
    page.locator("body").screenshot(path=f"{FOLDER}/top.png")


with sync_playwright() as playwright:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    light = browser.new_page(viewport={"width": 1280, "height": 712}, color_scheme="light")
    light.wait_for_timeout(PAST_MS)
    # What is open comes first, as soon as rows may change places.
    take(light, "", "upstreams", "tr.up:first-child[data-state=OPEN]")
    dark = browser.new_page(viewport={"width": 1280, "height": 760}, color_scheme="dark")
    take(dark, "breaker/payments", "breaker", ".badge.large[data-state=OPEN]")
    take_top(browser.new_page(viewport={"width": 1280, "height": 760}, device_scale_factor=2))
    browser.close()
