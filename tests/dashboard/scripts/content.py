"""Every page shows what happened."""

from browser import call, page, post, see, visit

HOSTILE = "<img src=x onerror=alert(1)> \u202e & 'quoted' \"so\""

for _ in range(12):
    assert call("/charge", "req-content-1") == 200
for _ in range(5):
    assert call("/fail") == 500
assert call("/charge") == 503, "the breaker is open"
assert call("/music/beat") == 200
post("/api/v1/circuit-breakers/music/override", {"mode": "shadow", "reason": HOSTILE.replace("\u202e", ""), "by": "<b>ann</b>"})

with page(refused=[400, 404]) as page:
    visit(page)
    rows = page.locator("tr.up")
    rows.nth(1).wait_for()
    assert rows.nth(0).get_attribute("data-name") == "payments", "what is open comes first"
    payments = rows.nth(0)
    see(page, "tr.up[data-name=payments] .badge", "open")
    see(page, "tr.up[data-name=payments] .why", "consecutive failures")
    see(page, "tr.up[data-name=payments] .probe", "in 4 min")
    see(page, "tr.up[data-name=payments] .errors", "%")
    assert "ms" in payments.locator(".p95").inner_text()
    see(page, "tr.up[data-name=music] .why", HOSTILE.split(" \u202e")[0])
    see(page, "tr.up[data-name=music] .why", "<b>ann</b>")
    see(page, ".tiles", "1 of 2")
    page.locator(".heat-map").wait_for()
    page.get_by_role("button", name="Overridden 1").click()
    assert rows.count() == 1
    page.get_by_role("button", name="All 2").click()
    page.get_by_label("Filter by name").fill("pay")
    assert rows.count() == 1
    page.get_by_role("link", name="payments").click()

    see(page, "h1", "payments")
    see(page, ".panel", "5 failures in a row opened it")
    see(page, ".past li", "5 failures in a row")
    see(page, "table.calls", "breaker open")
    page.get_by_role("link", name="Timeline").click()
    see(page, ".past li", "payments")
    page.locator(".lane svg").first.wait_for()

    page.get_by_role("link", name="Calls").click()
    see(page, "table.calls td", "req-content-1")
    page.get_by_label("Outcome").select_option("refused")
    page.locator("table.calls tbody tr").nth(1).wait_for(state="detached")
    assert page.locator("table.calls tbody tr").count() == 1
    page.get_by_label("Correlation id").fill("req-content-1")
    page.get_by_role("button", name="Trace").click()
    page.locator(".fall").nth(11).wait_for()
    see(page, ".lead", "12 calls of 1 service")
    visit(page, "trace/req-nobody")
    see(page, ".empty", "No call is known by this id")

    page.get_by_role("link", name="Statistics").click()
    see(page, "table th", "payments / charge")
    page.get_by_role("link", name="payments / charge").first.click()
    see(page, "table", "http 500")
    see(page, ".finding", "failures")
    see(page, ".empty", "No parameters are captured")
    page.get_by_role("link", name="Warnings").click()
    see(page, "h2", "How good each signal was")
    see(page, "table", "music")
    page.get_by_role("link", name="Configuration").click()
    page.get_by_label("Find a key or a value").fill("open_for")
    see(page, ".yaml-line", "open_for")
    assert page.locator(".yaml-line", has_text="workers").count() == 0
    page.get_by_role("link", name="Store").click()
    see(page, ".lead", "no row was lost")
    see(page, ".tiles", "sqlite")
    assert page.locator("img").count() == 0, "no text became markup"

    # A broken link leads to a page that lives, also when it is the first that is opened.
    for fragment, what, words in [
        ("trace/%E0%A4%A", "main", "expected 1 to 128 of"),
        ("constructor", "tr.up[data-name=payments] .badge", "open"),
        ("breaker/constructor", ".lead", "no such circuit"),
    ]:
        page.goto("about:blank")
        visit(page, fragment)
        see(page, what, words)
