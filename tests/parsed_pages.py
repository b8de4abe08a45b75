"""WebTest's pages, of which no more is parsed than a test looks at.

WebTest makes a soup of the whole page for its forms, and one more of each form, by pure Python: that
took several times as long as answering the request. Here libxml2 finds the forms; who looks at
`html` gets the soup that WebTest makes.
"""

from __future__ import annotations

from functools import cached_property

from bs4 import BeautifulSoup
from lxml import html
from webtest.app import TestRequest
from webtest.forms import Form
from webtest.response import TestResponse

FIELDS = ("input", "select", "textarea", "button")
WITHOUT_VALUE = {"autofocus", "checked", "disabled", "multiple", "readonly", "required", "selected"}
"""Attributes of which libxml2 says that they are their name, and a soup that they are empty."""


class Element:
    """What WebTest's forms ask of an element of a soup, about one of libxml2's."""

    def __init__(self, element: html.HtmlElement) -> None:
        self.name = element.tag
        self.attrs = {k: "" if k in WITHOUT_VALUE else value for k, value in element.attrib.items()}
        if "class" in self.attrs:
            self.attrs["class"] = self.attrs["class"].split()
        self._element = element

    def __call__(self, name: str) -> list[Element]:
        return [Element(found) for found in self._element.iter(name)]

    @property
    def text(self) -> str:
        return self._element.text_content()


class Fields:
    """The fields of a form, within it or told by ``form=…`` to be its own, in the page's order."""

    def __init__(self, form: html.HtmlElement) -> None:
        name = form.get("id")
        self._found = form.iter(FIELDS)
        if name:
            within = set(form.iter(FIELDS))
            self._found = [
                field for field in form.getroottree().iter(FIELDS)
                if field in within or field.get("form") == name
            ]  # fmt: skip

    def find_all(self, _names: tuple[str, ...]) -> list[Element]:
        return [Element(field) for field in self._found]


class ParsedForm(Form):
    """A form whose fields are read when they are asked for."""

    def __init__(self, response: ParsedPage, element: html.HtmlElement, number: int) -> None:
        self.response = response
        self.action = element.get("action", "")
        self.method = element.get("method", "GET")
        self.id = element.get("id")
        self.enctype = element.get("enctype", "application/x-www-form-urlencoded")
        self._element, self._number = element, number

    @cached_property
    def text(self) -> str:
        return str(self.response.html("form")[self._number])

    @cached_property
    def html(self) -> BeautifulSoup:
        return BeautifulSoup(self.text, self.response.parser_features)

    @cached_property
    def fields(self) -> dict[str, list[object]]:
        return self._read()["fields"]

    @cached_property
    def field_order(self) -> list[tuple[str, object]]:
        return self._read()["field_order"]

    def _read(self) -> dict[str, object]:
        reader = Form.__new__(Form)
        # Which are its own is known: WebTest would look for them in a soup of the whole page.
        vars(reader).update(vars(self), id=None, html=Fields(self._element))
        reader._parse_fields()
        for field in {id(field): field for _name, field in reader.field_order}.values():
            field.form = self
        vars(self).update(fields=reader.fields, field_order=reader.field_order)
        return vars(self)


class ParsedPage(TestResponse):
    """An answer whose forms are found without a soup of its page."""

    __test__ = False

    def _parse_forms(self) -> None:
        if "html" not in self.content_type:
            raise AttributeError(f"Not an HTML response body (content-type: {self.content_type})")
        self._forms_indexed = found = {}
        page = html.document_fromstring(self.testbody) if self.testbody.strip() else html.Element("html")
        for number, element in enumerate(page.iter("form")):
            found[number] = form = ParsedForm(self, element, number)
            if form.id:
                found[form.id] = form


TestRequest.ResponseClass = ParsedPage
