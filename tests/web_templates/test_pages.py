"""Every page in every state renders, in both languages, as sound HTML that keeps to the policy."""

from __future__ import annotations

import re
from collections import Counter
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


@pytest.fixture(params=samples(), ids=lambda sample: sample.name)
def sample(request: pytest.FixtureRequest) -> Sample:
    return request.param


@pytest.fixture(params=["fr", "en"])
def page(request: pytest.FixtureRequest, pages: Pages, sample: Sample) -> _Element:
    return html.document_fromstring(pages.render(sample, request.param))


def test_the_page_is_well_formed(pages: Pages, sample: Sample) -> None:
    parser = HTMLParser()
    parser.parse(pages.render(sample))
    # A form in a table cell and the like are caught here; tinyhtml5 knows no <noscript> in <head>.
    assert [error for error in parser.errors if "noscript" not in str(error)] == []


def test_ids_are_unique(page: _Element) -> None:
    counted = Counter(page.xpath("//@id"))
    assert [name for name, count in counted.items() if count > 1] == []


def test_what_is_referred_to_exists(page: _Element) -> None:
    ids = set(page.xpath("//@id"))
    referred = {
        name
        for attribute in ("aria-describedby", "aria-labelledby", "for")
        for value in page.xpath(f"//@{attribute}")
        for name in value.split()
    } | {link[1:] for link in page.xpath("//a/@href") if link.startswith("#")}
    assert referred <= ids


def test_every_field_has_a_label(page: _Element) -> None:
    labelled = set(page.xpath("//label/@for"))
    for field in page.xpath(INPUTS):
        assert field.get("id") in labelled or field.xpath("ancestor::label"), field.attrib


def test_one_title_and_headings_in_order(page: _Element, sample: Sample) -> None:
    main = page.xpath("//main") or page.xpath("//body")
    levels = [int(h.tag[1]) for h in main[0].xpath(".//h1|.//h2|.//h3|.//h4")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    title = page.findtext(".//title")
    assert title
    assert title == " ".join(title.split())


def test_the_content_policy_holds(page: _Element) -> None:
    assert page.xpath("//@style | //style | //script[not(@src)]") == []
    assert [a for a in page.xpath("//@*") if getattr(a, "attrname", "").startswith("on")] == []
    for url in page.xpath("//@src | //link/@href | //*[local-name()='use']/@href"):
        assert url.startswith("/"), url


def test_posts_carry_the_token(page: _Element) -> None:
    for form in page.xpath("//form[@method='post']"):
        assert form.xpath(".//input[@name='csrf_token']/@value") == ["t0ken"]


def test_errors_are_tied_to_their_fields(pages: Pages, sample: Sample) -> None:
    page = html.document_fromstring(pages.render(sample))
    assert len(page.xpath("//*[@id='errors']//li")) == sample.errors
    for field in page.xpath("//*[@aria-invalid='true']"):
        described = field.get("aria-describedby").split()
        assert f"{field.get('id')}-error" in described


def test_text_from_outside_is_escaped(pages: Pages) -> None:
    alerts = next(sample for sample in samples() if sample.name == "alerts")
    alerts.context["addresses"][1].address = "<script>alert(1)</script>@x.example"
    text = pages.render(alerts)
    assert "<script>alert" not in text
    assert "Adresse &lt;ajoutée&gt;." in text


def test_every_template_has_a_sample() -> None:
    names = set(TEMPLATES)
    parts = {"layout", "shell", "simple", "macros", "_help", "_letter", "_sign_in_form", "_acts"}
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
