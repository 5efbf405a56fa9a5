"""A person opens a circuit, sees what became of it, lifts the order, and resets."""

from browser import call, page, see, visit

with page(refused=[400]) as page:
    visit(page, "breaker/payments")
    page.get_by_role("button", name="Override…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Open", exact=False).first.check()
    dialog.get_by_role("button", name="Override").click()
    assert dialog.is_visible(), "without a reason nothing is sent"
    assert call("/charge") == 200
    dialog.get_by_label("Why").fill("   ")
    dialog.get_by_role("button", name="Override").click()
    see(page, "dialog .failed", "a reason is required")
    dialog.get_by_label("Why").fill("migration of the ledger")
    dialog.get_by_label("Your name").fill("ann")
    dialog.get_by_label("Ends by itself after").select_option("15m")
    dialog.get_by_role("button", name="Override").click()
    dialog.wait_for(state="detached")
    see(page, ".lead", "forced open by ann: migration of the ledger")
    see(page, ".tiles", "until ")
    assert call("/charge") == 503

    page.get_by_role("button", name="Lift the order").click()
    assert page.get_by_label("Your name").input_value() == "ann", "who it was is remembered"
    page.get_by_role("button", name="Lift", exact=True).click()
    see(page, ".tiles", "nobody steers it")
    assert call("/charge") == 200

    for _ in range(5):
        call("/fail")
    see(page, ".badge.large", "open")
    # By keyboard alone.
    page.get_by_role("button", name="Reset…").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Why").focus()
    page.keyboard.type("it is well again")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for(state="detached")
    see(page, ".badge.large", "closed")
    assert call("/charge") == 200
