"""Every page, light and dark, wide and narrow: it fits, and axe finds nothing in it.

With `every` all of these together; without, axe looks at the wide ones in light, and what is narrow is
measured in dark.
"""

import sys

from axe_playwright_python.sync_playwright import Axe

from browser import call, browser, page_of, post, see, visit

PAGES = ["", "breaker/payments", "timeline", "calls", "trace/req-looks", "statistics",
         "operation/payments/charge", "warnings", "configuration", "store"]
SCREENS = [(1280, 800), (390, 844)]
LOOKS = [(scheme, screen) for scheme in ("light", "dark") for screen in SCREENS]
IS_EVERY = "every" in sys.argv

for _ in range(5):
    call("/fail", "req-looks")
call("/charge", "req-looks")
call("/music/beat")
post("/api/v1/circuit-breakers/music/shadow", {"reason": "a look", "by": "ann"})


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def findings(page):
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["impact"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found]


def shown(page, fragment):
    visit(page, fragment)
    page.locator("main h1").wait_for()
    page.locator("main table tbody tr, main .yaml-line, main .meanings, main .past li").first.wait_for()


faults, complaints = [], []
with browser() as running:
    for scheme, (width, height) in LOOKS if IS_EVERY else (LOOKS[0], LOOKS[3]):
        page = page_of(running, complaints, viewport={"width": width, "height": height}, color_scheme=scheme)
        for fragment in PAGES:
            shown(page, fragment)
            where = (fragment, scheme, width)
            if overflow(page) > 0:
                faults.append((*where, f"{overflow(page)} px too wide"))
            if IS_EVERY or (scheme, (width, height)) == LOOKS[0]:
                faults += [(*where, *one) for one in findings(page)]
        page.context.close()
    page = page_of(running, complaints, color_scheme="light")
    visit(page, "breaker/payments")
    page.get_by_role("button", name="Override…").click()
    see(page, "dialog h2", "Override payments")
    faults += [("override", *one) for one in findings(page)]
    page.keyboard.press("Escape")
    # The switch wins over the system.
    page.get_by_role("button", name="Colours").click()
    page.get_by_role("button", name="Colours").click()
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
    page.reload()
    page.wait_for_selector("#link[data-link=live]")
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark", "it is remembered"
assert not complaints, complaints
assert not faults, "\n".join(map(str, faults))
