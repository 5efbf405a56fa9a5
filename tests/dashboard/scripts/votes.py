"""Who said what, and what was made of it."""

from browser import page, see, visit

with page() as page:
    visit(page)
    see(page, ".tiles", "3 instances")
    visit(page, "breaker/payments")
    see(page, ".facts", "share this breaker")
    see(page, ".panel .votes", "of 3")
    see(page, ".panel", "needed (majority)")
    see(page, ".panel .cause", "said so: ")
    visit(page, "timeline")
    opened = page.locator(".past li", has_text="payments").last
    opened.locator(".votes").wait_for()
    assert "of 3" in opened.locator(".votes").inner_text(), opened.inner_text()
    assert "said so: " in opened.inner_text(), opened.inner_text()
