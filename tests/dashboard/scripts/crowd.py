"""Five hundred upstreams: all of them there, in order, and quick."""

from browser import call, page, see, visit

for _ in range(5):
    assert call("/service-321/fail") == 500
for at in range(0, 500, 50):
    assert call(f"/service-{at:03}/ok") == 200

with page(viewport={"width": 1280, "height": 800}) as page:
    visit(page)
    rows = page.locator("tr.up")
    rows.nth(499).wait_for(state="attached")
    assert rows.count() == 500
    assert rows.nth(0).get_attribute("data-name") == "service-321", "what is open comes first"
    see(page, ".tiles", "1 of 500")
    # How long the page is busy with a state, from its own account.
    longest = page.evaluate("""() => new Promise((done) => {
        let longest = 0;
        new PerformanceObserver((list) => { for (const one of list.getEntries()) longest = Math.max(longest, one.duration); })
          .observe({ type: "longtask" });
        setTimeout(() => done(longest), 3500);
    })""")
    page.get_by_label("Filter by name").fill("service-49")
    assert rows.count() == 10
    page.get_by_label("Filter by name").fill("")
    page.get_by_role("button", name="Upstream", exact=True).click()
    assert rows.nth(0).get_attribute("data-name") == "service-000"
    page.get_by_role("button", name="Upstream", exact=True).click()
    assert rows.nth(0).get_attribute("data-name") == "service-499"
    page.get_by_role("button", name="Open 1").click()
    assert rows.count() == 1
    # Chromium tells of tasks from 50 ms on.
    print(f"the longest task of the page took {longest:.0f} ms" if longest else "no task of the page took 50 ms")
    # Tens of milliseconds on a machine with nothing else to do.
    assert longest < 900, "states come every second, and people click in between"
