"""Every page in every state renders, in both languages, as sound HTML that keeps to the policy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from lxml import html
from lxml.etree import _Element
from template_samples import ROUTES, STATIC, TEMPLATES, Pages, Sample, samples
from tinyhtml5.parser import HTMLParser

from core.sign_in.service import MINIMUM_PASSWORD

INPUTS = "//input[not(@type='hidden' or @hidden)] | //select | //textarea"


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages()


def ids_are_unique(page: _Element) -> Iterator[str]:
    yield from (name for name, count in Counter(page.xpath("//@id")).items() if count > 1)


def what_is_referred_to_exists(page: _Element) -> Iterator[str]:
    ids = set(page.xpath("//@id"))
    referred = {
        name
        for attribute in ("aria-describedby", "aria-labelledby", "for")
        for value in page.xpath(f"//@{attribute}")
        for name in value.split()
    } | {link[1:] for link in page.xpath("//a/@href") if link.startswith("#")}
    yield from referred - ids


def every_field_has_a_label(page: _Element) -> Iterator[str]:
    labelled = set(page.xpath("//label/@for"))
    for field in page.xpath(INPUTS):
        if field.get("id") not in labelled and not field.xpath("ancestor::label"):
            yield str(field.attrib)


def one_title_and_headings_in_order(page: _Element) -> Iterator[str]:
    main = page.xpath("//main") or page.xpath("//body")
    levels = [int(h.tag[1]) for h in main[0].xpath(".//h1|.//h2|.//h3|.//h4")]
    if levels.count(1) != 1 or levels[0] != 1 or any(after - before > 1 for before, after in pairwise(levels)):
        yield f"headings {levels}"
    title = page.findtext(".//title")
    if not title or title != " ".join(title.split()):
        yield f"title {title!r}"


def the_content_policy_holds(page: _Element) -> Iterator[str]:
    for found in page.xpath("//@style | //style | //script[not(@src)]"):
        yield f"forbidden: {found}"
    yield from (a.attrname for a in page.xpath("//@*") if getattr(a, "attrname", "").startswith("on"))
    for url in page.xpath("//@src | //link/@href | //*[local-name()='use']/@href"):
        if not url.startswith("/"):
            yield url


def posts_carry_the_token(page: _Element) -> Iterator[str]:
    for form in page.xpath("//form[@method='post']"):
        if form.xpath(".//input[@name='csrf_token']/@value") != ["t0ken"]:
            yield f"form to {form.get('action')}"


RULES = (
    ids_are_unique,
    what_is_referred_to_exists,
    every_field_has_a_label,
    one_title_and_headings_in_order,
    the_content_policy_holds,
    posts_carry_the_token,
)


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_a_page_is_sound(pages: Pages, sample: Sample) -> None:
    """Each rule is asked in both languages, and all that is wrong is told at once."""
    sources = {language: pages.render(sample, language) for language in ("fr", "en")}
    read = {language: html.document_fromstring(source) for language, source in sources.items()}
    assert [
        f"{language}: {rule.__name__}: {fault}"
        for language, page in read.items()
        for rule in RULES
        # The mode d'emploi is printed, and never sent to a browser.
        if (sample.template, rule) != ("guide", the_content_policy_holds)
        for fault in rule(page)
    ] == []
    parser = HTMLParser()
    parser.parse(sources["fr"])
    # A form in a table cell and the like are caught here; tinyhtml5 knows no <noscript> in <head>.
    assert [error for error in parser.errors if "noscript" not in str(error)] == []
    page = read["fr"]
    assert len(page.xpath("//*[@id='errors']//li")) == sample.errors
    for field in page.xpath("//*[@aria-invalid='true']"):
        assert f"{field.get('id')}-error" in field.get("aria-describedby").split()


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("<p id=a></p><p id=a></p>", ids_are_unique),
        ("<a href='#nowhere'>x</a>", what_is_referred_to_exists),
        ("<input name=x id=x>", every_field_has_a_label),
        ("<h1>x</h1><h3>y</h3>", one_title_and_headings_in_order),
        ("<p style='color:red'>x</p>", the_content_policy_holds),
        ("<form method=post action=/x></form>", posts_carry_the_token),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_page_that_breaks_a_rule_is_seen(broken: str, rule: Callable[[_Element], Iterator[str]]) -> None:
    page = html.document_fromstring(f"<title>x</title><body><main>{broken}</main></body>")
    assert list(rule(page))


def test_text_from_outside_is_escaped(pages: Pages) -> None:
    alerts = next(sample for sample in samples() if sample.name == "alerts")
    alerts.context["addresses"][1].address = "<script>alert(1)</script>@x.example"
    text = pages.render(alerts)
    assert "<script>alert" not in text
    assert "Adresse &lt;ajoutée&gt;." in text


def test_every_template_has_a_sample() -> None:
    names = set(TEMPLATES)
    parts = {"layout", "shell", "simple", "macros", "_help", "_letter", "_sign_in_form", "_acts", "_chain", "_trial"}
    office = {name for name in names if name.startswith(("office", "mail"))}
    assert names - parts - office == {sample.template for sample in samples()}


def test_every_asset_and_icon_exists(pages: Pages) -> None:
    sprite = (STATIC / "img" / "icons.svg").read_text("utf-8")
    ids = set(re.findall(r'id="([a-z]+)"', sprite))
    for sample in samples():
        for url in re.findall(r'"/static/([^"]+)"', pages.render(sample)):
            name, _, fragment = url.partition("#")
            assert (STATIC / name).is_file(), url
            assert not fragment or fragment in ids, url


def test_style_sheets_take_nothing_from_elsewhere() -> None:
    sheet = (STATIC / "css" / "preau.css").read_text("utf-8")
    for url in re.findall(r"url\(([^)]+)\)", sheet):
        assert (STATIC / "css" / url).is_file(), url


def test_the_readme_names_every_route() -> None:
    readme = TEMPLATES["layout"].with_name("README.md").read_text("utf-8")
    used = {
        route
        for name, path in TEMPLATES.items()
        if not name.startswith("office")
        for route in re.findall(r"route_path\(['\"](\w+)['\"]", path.read_text("utf-8"))
    }
    assert used <= set(ROUTES)
    assert all(re.search(rf"\b{name}\b", readme) for name in used)


def test_the_hint_tells_the_length_that_is_asked() -> None:
    account = TEMPLATES["account"].read_text("utf-8")
    assert f"{MINIMUM_PASSWORD} caractères au moins" in account
