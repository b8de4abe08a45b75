"""Coming in: guesses cost, names leak nothing, sessions are not handed over, ways lead home."""

from __future__ import annotations

import itertools
import re
from urllib.parse import urlsplit

import pytest
from table_dump import everything
from webtest import TestApp

from core.families import service as families
from core.platform.errors import ThrottledError, WrongCodesError
from core.sign_in import service as sign_in
from core.testing.portal import pages_of


@pytest.fixture
def app(portal):
    return TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})


def code(portal, family="F001"):
    with portal.town() as town:
        return town.families.issue_code(town.families.by_code(family).id)


def form_of(page, field):
    return next(form for form in page.forms.values() if field in form.fields)


def fill(app, family, secret, **fields):
    form = form_of(app.get("/valmont/connexion"), "family_code")
    form["family_code"], form["child_code"] = family, secret
    for name, value in fields.items():
        form[name] = value
    return form.submit(expect_errors=True)


# --- Names ---------------------------------------------------------------------------------------


@pytest.fixture
def hashes(monkeypatch):
    """Counts the slow hashes, which are what an attempt costs: steadier than a clock."""
    made = []

    def counted(module, name):
        real = getattr(module, name)

        def count(*args, **kwargs):
            made.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, count)

    counted(sign_in, "slow_hash")
    for name in ("verify_password", "_verify"):
        if hasattr(sign_in, name):
            counted(sign_in, name)
    return made


@pytest.mark.parametrize("codes", [0, 1, 3])
@pytest.mark.parametrize("family", ["F001", "F002", "NOBODY", "", "%", "F001' OR 1=1--", "F" * 200])
def test_a_wrong_family_costs_what_a_wrong_code_costs(portal, hashes, family, codes):
    with portal.town() as town:
        known = town.families.by_code(family)
        for holder in range(codes if known else 0):
            town.families.issue_code(known.id, holder=str(holder))
    with portal.town() as town, pytest.raises(WrongCodesError) as refusal:
        town.sign_in.by_codes(family, "2222-2222-2222", "10.0.0.1")
    assert hashes == ["slow_hash"]
    assert "Ces deux codes ne vont pas ensemble" in refusal.value.message


@pytest.mark.parametrize("email", ["known@exemple.fr", "unknown@exemple.fr", ""])
def test_a_wrong_address_costs_what_a_wrong_password_costs(portal, hashes, email):
    with portal.town() as town:
        family = town.families.by_code("F003").id
        if email.startswith("known"):
            town.sign_in.create_account(family, email, "a long password")
    with portal.town() as town, pytest.raises(WrongCodesError):
        town.sign_in.by_account(email, "another password", "10.0.0.2")
    assert len(hashes) == 1


def main_of(answer):
    return re.sub(r'(csrf_token" value=|value=)"[^"]*"', "", answer.text.partition("<main")[2])


def test_the_page_says_the_same_for_a_family_that_does_not_exist(app):
    wrong, unknown = fill(app, "F001", "2222-2222-2222"), fill(app, "F999", "2222-2222-2222")
    assert wrong.status_int == unknown.status_int == 422
    assert main_of(wrong) == main_of(unknown)


# --- Guesses -------------------------------------------------------------------------------------


def guess(portal, family, address, secret="2222-2222-2222"):
    with portal.town() as town:
        try:
            return town.sign_in.by_codes(family, secret, address)
        except ThrottledError as error:
            return f"wait {error.seconds}"
        except WrongCodesError:
            return "wrong"


def forget_the_wait(portal):
    """Time passes: the waits end, the counts stay."""
    for key in portal.runtime.redis.scan_iter("preau:wait:*"):
        portal.runtime.redis.delete(key)


def test_waits_grow_and_never_exceed_minutes(portal):
    waits = []
    for _time in range(30):
        forget_the_wait(portal)
        assert guess(portal, "F001", "10.0.1.1") == "wrong"
        answer = guess(portal, "F001", "10.0.1.1")
        waits.append(int(answer.split()[1]) if answer.startswith("wait") else 0)
    assert waits[0] == 0
    # A slow machine lets a second pass between the guess and the question how long to wait.
    assert all(earlier <= later + 2 for earlier, later in itertools.pairwise(waits))
    assert max(waits[:20]) <= 120
    assert max(waits) <= 300


def test_somebody_s_guesses_do_not_lock_a_family_out(portal):
    secret = code(portal, "F001")
    for number in range(50):
        forget_the_wait(portal)
        guess(portal, "F001", f"10.1.0.{number}")
    waits = [int(portal.runtime.redis.ttl(key)) for key in portal.runtime.redis.scan_iter("preau:wait:*")]
    assert max(waits) <= 120
    forget_the_wait(portal)
    assert isinstance(guess(portal, "F001", "10.2.0.1", secret), int)


def test_other_families_and_towns_are_not_slowed(portal):
    for number in range(12):
        forget_the_wait(portal)
        guess(portal, "F001", f"10.3.0.{number}")
    assert guess(portal, "F001", "10.3.1.1").startswith("wait")
    secret = code(portal, "F002")
    assert isinstance(guess(portal, "F002", "10.3.1.2", secret), int)
    with portal.town("brumes") as town, pytest.raises(WrongCodesError):
        town.sign_in.by_codes("F001", "2222-2222-2222", "10.3.1.1")


def test_who_comes_in_starts_afresh(portal):
    secret = code(portal, "F001")
    for _time in range(4):
        guess(portal, "F001", "10.4.0.1")
    assert isinstance(guess(portal, "F001", "10.4.0.1", secret), int)
    assert guess(portal, "F001", "10.4.0.1") == "wrong"


def test_a_refused_attempt_is_answered_without_a_hash(portal, hashes):
    for _time in range(12):
        guess(portal, "F001", "10.5.0.1")
    before = len(hashes)
    assert guess(portal, "F001", "10.5.0.1").startswith("wait")
    assert len(hashes) == before


def test_a_header_does_not_change_one_s_address(app, portal):
    """Otherwise each guess would come from another machine."""
    for number in range(25):
        forget_the_wait(portal)
        form = form_of(app.get("/valmont/connexion"), "family_code")
        form["family_code"], form["child_code"] = f"X{number}", "2222"
        form.submit(headers={"X-Forwarded-For": f"10.6.0.{number}"}, expect_errors=True)
    addresses = list(portal.runtime.redis.scan_iter("preau:attempts:*:address:*"))
    assert len(addresses) == 1


# --- Sessions ------------------------------------------------------------------------------------


def token_of(answer):
    found = [c for c in answer.headers.getall("Set-Cookie") if c.startswith("preau_family=")]
    return found[0].partition("=")[2].partition(";")[0]


def test_a_session_is_new_at_sign_in_whatever_the_browser_held(app, portal):
    """An attacker's own session, planted in the parent's browser, does not become the parent's."""
    planted = token_of(fill(app, "F002", code(portal, "F002")))
    before = form_of(app.get("/valmont/connexion"), "family_code")["csrf_token"].value
    first = token_of(fill(app, "F001", code(portal)))
    assert first != planted
    assert app.get("/valmont/menu").status_int == 200
    page = app.get("/valmont/compte")
    after = next(f for f in page.forms.values() if "csrf_token" in f.fields)["csrf_token"].value
    assert after != before
    second = token_of(fill(app, "F001", code(portal)))
    assert second != first
    # The one that was replaced is worth nothing any more.
    for old in (planted, first):
        thief = TestApp(app.app)
        thief.set_cookie("preau_family", old)
        assert thief.get("/valmont/menu").status_int == 303


def test_signing_out_ends_the_session_and_not_only_the_cookie(app, portal):
    token = token_of(fill(app, "F001", code(portal)))
    page = app.get("/valmont/menu")
    next(f for f in page.forms.values() if "deconnexion" in f.action).submit()
    thief = TestApp(app.app)
    thief.set_cookie("preau_family", token)
    assert thief.get("/valmont/menu").status_int == 303


def test_tokens_are_kept_hashed(portal):
    with portal.town() as town:
        family = town.families.by_code("F001").id
        token = town.web_sessions.open(family)
        link = town.invoices.payment_link(1, family).rpartition("/")[2]
        town.session.flush()
        content = everything(town.session)
    assert token not in content
    assert link not in content


# --- Ways ----------------------------------------------------------------------------------------

NEXT = (
    "https://evil.example/", "//evil.example/", "///evil.example", "\\\\evil.example", "/\\evil.example",
    "/valmont/\\evil.example", "javascript:alert(1)", "data:text/html,x", "http:evil.example",
    "/valmont@evil.example", "/valmontevil/", "valmont/", "http://localhost@evil.example/",
    "//[", "http://[::1", "/valmont/\r\nSet-Cookie: a=b", "/valmont/\u2028", "\t//evil.example",
    " //evil.example", "/valmont/é", "?", "", "/brumes/", "https:///evil.example", "////evil.example/..",
    "/%2f/evil.example", "/.evil.example",
)  # fmt: skip


@pytest.mark.parametrize("wanted", NEXT)
def test_next_leads_into_the_town_or_to_the_menu(app, portal, wanted):
    answer = fill(app, "F001", code(portal), next=wanted)
    assert answer.status_int == 303
    parts = urlsplit(answer.location)
    assert parts.netloc == "localhost"
    assert parts.path.startswith("/valmont/")
    assert "Set-Cookie: a" not in str(answer.headers)


@pytest.mark.parametrize("wanted", ["/valmont/factures", "/valmont/factures/payees?annee=2026"])
def test_next_leads_on_to_a_page_of_the_town(app, portal, wanted):
    answer = fill(app, "F001", code(portal), next=wanted)
    assert answer.location == f"http://localhost{wanted}"


@pytest.mark.parametrize("wanted", NEXT)
def test_the_language_s_way_back_is_as_safe(app, wanted):
    page = app.get("/valmont/connexion")
    token = form_of(page, "family_code")["csrf_token"].value
    answer = app.post(
        "/valmont/langue", {"csrf_token": token, "language": "fr", "next": wanted}, expect_errors=True
    )
    assert urlsplit(answer.location).netloc == "localhost"
    assert urlsplit(answer.location).path.startswith("/valmont/")


@pytest.mark.parametrize("path", ["//valmont", "/valmont", "///valmont?x=1", "//evil.example/%2f.."])
def test_a_missing_slash_leads_to_this_very_host(app, path):
    answer = app.get("/", extra_environ={"PATH_INFO": path.partition("?")[0]}, expect_errors=True)
    assert answer.status_int in {308, 404}
    if answer.status_int == 308:
        assert urlsplit(answer.location).netloc == "localhost"
        assert urlsplit(answer.location).path == "/valmont/"


@pytest.mark.parametrize("field", ["next", "family_code", "child_code", "csrf_token"])
def test_a_file_in_the_place_of_a_text_is_no_error(app, field):
    page = app.get("/valmont/connexion")
    token = form_of(page, "family_code")["csrf_token"].value
    values = {"csrf_token": token, "family_code": "F001", "child_code": "x", "next": "/"}
    values.pop(field)
    answer = app.post(
        "/valmont/connexion", values, upload_files=[(field, "x.txt", b"x")], expect_errors=True
    )
    assert answer.status_int == 400


@pytest.mark.parametrize("field", ["family_code", "child_code", "next"])
@pytest.mark.parametrize("value", ["\x00", "😀", "é" * 199, "x" * 5000, "{{7*7}}", "%s%n"])
def test_strange_texts_are_no_error(app, field, value):
    values = {"family_code": "F001", "child_code": "x", "next": ""} | {field: value}
    answer = fill(app, values["family_code"], values["child_code"], next=values["next"])
    assert answer.status_int in {400, 422}


# --- Hosts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "valmont.test.evil.example", "localhost.evil.example"])
def test_in_production_a_forged_host_is_nobody_s(portal, host, monkeypatch):
    settings = portal.runtime.settings.model_copy(
        update={"environment": "production", "public_base_url": "https://portail.exemple.fr"}
    )
    monkeypatch.setattr(portal.runtime, "settings", settings)
    app = TestApp(pages_of(portal.runtime))
    answer = app.get("/valmont/", headers={"Host": host}, expect_errors=True)
    assert answer.status_int == 404
    assert app.get("/valmont/", headers={"Host": "portail.exemple.fr"}).status_int == 200
    assert app.get("/", headers={"Host": "valmont.test"}).status_int == 200


def test_a_town_s_host_shows_no_other_town(app):
    for path, host in itertools.product(("/brumes/", "/brumes/connexion"), ("valmont.test", "VALMONT.test:80")):
        assert app.get(path, headers={"Host": host}, expect_errors=True).status_int == 404


def test_codes_are_hard_to_guess():
    from core.domain.access_codes import ALPHABET, SECRET_LENGTH, new_secret

    assert len(ALPHABET) ** SECRET_LENGTH > 2**50
    drawn = {new_secret() for _time in range(2000)}
    assert len(drawn) == 2000
    assert set("".join(drawn)) == set(ALPHABET)


def test_one_secret_gives_different_hashes_in_other_families_and_towns():
    made = {
        families.slow_hash("k" * 32, town, family, "7KMPQ2RSTV4X")
        for town in ("valmont", "brumes")
        for family in ("F001", "F002")
    }
    assert len(made) == 4
