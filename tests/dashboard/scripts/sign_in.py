"""The page asks for the token, keeps it in the tab, and says when it was wrong."""

import browser
from browser import page_of, see

TOKEN = browser.sys.argv[2]

# A refused question is told in the console by Chromium itself.
complaints = []
with browser.browser() as running:
    page = page_of(running, complaints)
    page.goto(browser.ADMIN)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Not now").click()
    see(page, "#link", "token needed")
    # Who does not want to is asked no more, whatever the page asks for again and again.
    page.goto(browser.ADMIN + "/#/calls")
    see(page, ".failed", "a bearer token is required")
    for _ in range(2):
        page.wait_for_event("response", lambda answer: "/api/v1/tasks" in answer.url)
    assert not dialog.is_visible()
    page.goto(browser.ADMIN + "/#/")
    page.get_by_role("button", name="Enter the token").click()
    dialog.get_by_label("Token").fill("wrong")
    dialog.get_by_role("button", name="Connect").click()
    see(page, "#ask-why", "was not accepted")
    dialog.get_by_label("Token").fill(TOKEN)
    dialog.get_by_role("button", name="Connect").click()
    page.wait_for_selector(browser.LIVE)
    page.wait_for_selector("tr.up")
    page.goto(browser.ADMIN + "/#/calls")
    see(page, ".empty", "No calls")
    page.reload()
    page.wait_for_selector(browser.LIVE)
    kept = page.evaluate("[localStorage.length, sessionStorage.length]")
    assert kept[0] == 0 and kept[1] == 1, kept
assert all("401" in text for text in complaints), complaints
