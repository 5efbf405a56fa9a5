"""What is drawn anew leaves people where they are, and a page that nobody looks at lets go of its stream."""

from browser import LIVE, call, page, see, visit

# The page's own waits, shorter: how often it asks again, and how long it may be out of sight.
SOON = """{
  const later = window.setTimeout;
  const short = new Set([4000, 10000, 30000]);
  window.setTimeout = (act, ms, ...more) => later(act, short.has(ms) ? 300 : ms, ...more);
}"""
FOCUS = "document.activeElement.getAttribute('href')"


def again(page, path):
    """Waits until it has asked twice more: what the first answer says is drawn by then."""
    for _ in range(2):
        page.wait_for_event("response", lambda answer: path in answer.url)


for _ in range(3):
    assert call("/charge", "req-staying") == 200

with page() as page:
    page.add_init_script(SOON)
    visit(page, "breaker/payments")
    link = page.locator("table.calls a").first
    link.focus()
    assert call("/charge", "req-another") == 200
    see(page, "table.calls a", "req-another")
    assert page.evaluate(FOCUS) == "#/trace/req-staying", "the same call, one row below"

    visit(page, "warnings")
    page.get_by_role("button", name="Signal").click()
    again(page, "/api/v1/predictions")
    page.locator("th[aria-sort=ascending]", has_text="Signal").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Signal"

    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    page.wait_for_selector("#link[data-link=paused]")
    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => false });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    page.wait_for_selector(LIVE)
