"""Forms as tests find them in pages are those that WebTest's own parser finds."""

from __future__ import annotations

from parsed_pages import ParsedPage
from webtest.response import TestResponse as Response

PAGE = """<!doctype html><html lang="fr"><body><header><form action="/langue" method="post">
<input type="hidden" name="csrf_token" value="a&amp;b"><button class="quiet small" name="language" value="en">English</button>
</form></header><main><form id="two" method="post" enctype="multipart/form-data">
<textarea name="note">
 one
two &lt;b&gt;</textarea><textarea name="blank">

x</textarea><textarea name="none"></textarea>
<select name="means"><option value="">—</option><option value="cash" selected> Espèces </option><option>Autre
</option></select>
<select name="many" multiple><option selected>1</option><option selected>2</option><option>3</option></select>
<fieldset><label for="r1">x</label><input type="radio" name="kind" value="a" id="r1">
<input type="radio" name="kind" value="b" checked></fieldset>
<input type="checkbox" name="all" value="1" checked><input type="checkbox" name="all" value="2">
<input type="checkbox" name="bare"><input name="amount" value="1,00&nbsp;€" required disabled>
<input type="file" name="file" value="x"><input type="EMAIL" name="email"><input type="submit" value="no name">
</form><p>beside</p><table><tr><td><input form="two" name="outside" value="é"></td><td>
<input name="nobody"></td></tr></table><button form="two" name="action" value="go"><span>Go</span></button>
<form id="two-more"><input name="q" type="search" value="'&quot;"></form></main></body></html>"""


def seen(page):
    """All that a test can ask of each form."""
    for key, form in page.forms.items():
        yield f"{key!r} {form.id} {form.action} {form.method} {form.enctype}"
        yield f"sends {form.submit_fields()} {form.submit_fields('action', submit_value='go')}"
        yield from (
            f"{name} {field!r} {field.pos} {field.attrs} {field.id} {getattr(field, 'options', None)}"
            for name, field in form.field_order
        )
        yield f"{ {name: len(found) for name, found in form.fields.items()} }"


def test_the_same_forms_fields_and_values_are_found():
    ours, theirs = (kind(PAGE, content_type="text/html", charset="utf-8") for kind in (ParsedPage, Response))
    assert list(seen(ours)) == list(seen(theirs))
    assert [form.text for form in ours.forms.values()] == [form.text for form in theirs.forms.values()]


def test_what_is_filled_in_is_what_is_sent():
    form = ParsedPage(PAGE, content_type="text/html", charset="utf-8").forms["two"]
    form["note"], form["means"], form["kind"], form["outside"] = "other", "", "a", "é2"
    form.set("all", True, index=1)
    sent = form.submit_fields("action", submit_value="go")
    for field in (("note", "other"), ("means", ""), ("kind", "a"), ("outside", "é2"), ("all", "2"), ("action", "go")):
        assert field in sent
    assert ("nobody", "") not in sent
    assert all(field.form is form for _name, field in form.field_order)
