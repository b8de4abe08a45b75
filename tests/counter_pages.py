"""The counter's page, as an agent fills it in."""

from __future__ import annotations


def counter(work, code="F001", **query):
    page = work.follow(work.get("/regie/recherche", params={"q": code}))
    page = page.click("Encaisser au guichet")
    return work.get(page.request.path.removeprefix(f"/{work.town}"), params=query) if query else page


def take(work, page, button=None, **values):
    form = work.form(page, "amount")
    chosen = values.pop("invoices", None)
    for name, value in values.items():
        form[name] = value
    if chosen is not None:
        for box in form.fields["invoice"]:
            box.checked = box._value in chosen
    return work.follow(form.submit(button, expect_errors=True))


def more(work, page, **values):
    """The page with a line for one means more."""
    return take(work, page, "more", **values)


def balance(portal, number):
    with portal.town() as town:
        return town.invoices.by_number(number)[0].balance
