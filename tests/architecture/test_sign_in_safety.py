"""Coming in: guesses cost, names leak nothing, sessions are not handed over, ways lead home."""

from __future__ import annotations

import itertools
import re
import uuid
from datetime import timedelta
from types import SimpleNamespace
from unittest import mock
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyotp import TOTP
from redis import RedisError
from sqlalchemy import select, text
from table_dump import everything
from webtest import TestApp

from core.api.errors import UserError
from core.domain.access_codes import ALPHABET, may_be_secret
from core.domain.roles import Role
from core.families import service as families
from core.messages.models import MessageRow
from core.platform.doors import (
    PASSWORD_TRIES,
    PASSWORD_TRIES_BY_BROWSER,
    PASSWORD_TRIES_BY_SESSION,
    SECOND_FACTOR_TRIES,
    TRIES_BY_ADDRESS,
)
from core.platform.errors import ThrottledError, WrongCodesError
from core.platform.throttling import KEPT_IN_PROCESS, Allowance, Throttle
from core.sign_in import service as sign_in
from core.sign_in.models import Account
from core.sign_in.service import LOST_CODES_MAILS
from core.testing.portal import cheap_hashes, pages_of


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


@pytest.mark.parametrize("family", ["F001", "NOBODY"])
@pytest.mark.parametrize(
    "secret", ["", "x", "2222-2222-222", "2222-2222-22222", "AAAA-2222-2222", "O0I1-2222-2222", "٢٢٢٢-2222-2222", "2" * 10_000]
)  # fmt: skip
def test_what_was_surely_never_drawn_costs_nothing(portal, hashes, family, secret):
    """The same for a family that exists and one that does not; counted like every wrong code."""
    with portal.town() as town:
        town.families.issue_code(town.families.by_code("F001").id)
    before = counted_tries(portal)
    with portal.town() as town, pytest.raises(WrongCodesError) as refusal:
        town.sign_in.by_codes(family, secret, "10.0.0.3")
    assert hashes == []
    assert "Ces deux codes ne vont pas ensemble" in refusal.value.message
    assert counted_tries(portal) == before + 1


def counted_tries(portal):
    """How many wrong tries the address has made, by its counter."""
    redis = portal.runtime.redis
    return sum(int(redis.get(key)) for key in redis.scan_iter("*") if redis.type(key) == b"string")


@given(st.text(ALPHABET, min_size=12, max_size=12))
def test_what_could_be_drawn_is_looked_at(secret):
    assert may_be_secret(secret)


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


@pytest.fixture
def many():
    """Let thousands of tries be made in seconds: what one costs is asked above."""
    with cheap_hashes():
        yield


# --- Guesses -------------------------------------------------------------------------------------


def guess(portal, family, address, secret="2222-2222-2222"):
    with portal.town() as town:
        return tried(town, family, address, secret)


def tried(town, family, address, secret="2222-2222-2222"):
    try:
        return town.sign_in.by_codes(family, secret, address)
    except ThrottledError as error:
        return f"wait {error.seconds}"
    except WrongCodesError:
        return "wrong"


def waits(answer):
    return isinstance(answer, str) and answer.startswith("wait")


def test_wrong_codes_end_in_a_wait_of_minutes(portal):
    with portal.town() as town:
        answers = [tried(town, "F001", "10.0.1.1") for _time in range(30)]
    assert answers[:TRIES_BY_ADDRESS] == ["wrong"] * TRIES_BY_ADDRESS
    assert all(waits(answer) for answer in answers[TRIES_BY_ADDRESS:])
    assert all(int(answer.split()[1]) <= 15 * 60 for answer in answers[TRIES_BY_ADDRESS:])


def test_right_codes_from_one_address_are_never_counted(portal, many):
    """A mobile carrier, a school and the town hall are one address each."""
    secret = code(portal, "F001")
    with portal.town() as town:
        assert all(
            isinstance(tried(town, "F001", "10.0.2.1", secret), int) for _time in range(500)
        )
    assert guess(portal, "F001", "10.0.2.1") == "wrong"


def test_right_codes_open_from_the_address_that_guesses(portal):
    secret = code(portal, "F001")
    while not waits(guess(portal, "F001", "10.0.3.1")):
        pass
    assert isinstance(guess(portal, "F001", "10.0.3.1", secret), int)


def test_a_thousand_addresses_that_guess_cost_the_parents_nothing(portal, many):
    """Neither the families that they guess at, nor those beside them, nor the other town."""
    with portal.town() as town:
        secrets = {f: town.families.issue_code(town.families.by_code(f).id) for f in ("F001", "F002")}
        for number in range(1000):
            family = ("F001", "NOBODY", "F002")[number % 3]
            assert tried(town, family, f"10.{number // 250}.{number % 250}.7") == "wrong"
    for family, secret in secrets.items():
        assert isinstance(guess(portal, family, "10.99.0.1", secret), int)
    with portal.town("brumes") as town, pytest.raises(WrongCodesError):
        town.sign_in.by_codes("F001", "2222-2222-2222", "10.99.0.1")


def test_one_family_guessed_at_from_everywhere_comes_in(portal, many):
    secret = code(portal, "F001")
    with portal.town() as town:
        for number in range(300):
            assert tried(town, "F001", f"10.1.{number}.1") == "wrong"
    assert isinstance(guess(portal, "F001", "10.2.0.1", secret), int)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("::ffff:10.7.0.1", "10.7.0.1"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_one_line_is_one_guesser(portal, one, same):
    for _time in range(TRIES_BY_ADDRESS):
        guess(portal, "F001", one)
    assert waits(guess(portal, "F001", same))


def test_the_neighbour_s_line_is_another(portal):
    for _time in range(TRIES_BY_ADDRESS + 1):
        guess(portal, "F001", "2001:db8:1:2::1")
    assert guess(portal, "F001", "2001:db8:1:3::1") == "wrong"


def test_who_guesses_in_two_towns_is_one_guesser(portal):
    for _time in range(TRIES_BY_ADDRESS):
        guess(portal, "F001", "10.8.0.1")
    with portal.town("brumes") as town, pytest.raises(ThrottledError):
        town.sign_in.by_codes("F001", "2222-2222-2222", "10.8.0.1")


def test_a_browser_that_signed_in_before_has_tries_of_its_own(app, portal):
    assert fill(app, "F001", code(portal)).status_int == 303
    while fill(TestApp(app.app, extra_environ={"HTTP_HOST": "localhost"}), "F9", "2").status_int != 429:
        pass
    assert fill(app, "F001", "2222").status_int == 422


def test_a_planted_browser_is_not_known(app, portal):
    guess_on = TestApp(app.app, extra_environ={"HTTP_HOST": "localhost"})
    for number in range(TRIES_BY_ADDRESS + 1):
        guess_on.set_cookie("preau_browser", f"W10.forged.{number}")
        answer = fill(guess_on, "F001", "2222")
    assert answer.status_int == 429


def test_a_wait_is_told_in_minutes_and_keeps_what_was_typed(app, portal):
    for _time in range(TRIES_BY_ADDRESS + 1):
        answer = fill(app, "F001", "2222-3333-4444", next="/valmont/factures/payees")
    assert answer.status_int == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert "15 minutes" in answer
    form = form_of(answer, "family_code")
    assert form["family_code"].value == "F001"
    assert form["next"].value == "/valmont/factures/payees"
    form["child_code"] = code(portal)
    assert form.submit().status_int == 303


def test_a_header_does_not_change_one_s_address(app, portal):
    """Otherwise each guess would come from another machine."""
    for number in range(25):
        form = form_of(app.get("/valmont/connexion"), "family_code")
        form["family_code"], form["child_code"] = f"X{number}", "2222"
        form.submit(headers={"X-Forwarded-For": f"10.6.0.{number}"}, expect_errors=True)
    addresses = list(portal.runtime.redis.scan_iter("preau:tries:address:*"))
    assert len(addresses) == 1


def test_every_count_is_forgotten_in_the_end(portal):
    guess(portal, "F001", "10.9.0.1")
    open_account(portal, "camille@exemple.fr")
    knock(portal, "camille@exemple.fr", "wrong", "10.9.0.2")
    keys = list(portal.runtime.redis.scan_iter("preau:tries:*"))
    assert len(keys) == 3
    assert all(0 < portal.runtime.redis.ttl(key) <= 86_400 for key in keys)


def test_without_redis_a_process_counts_alone(portal, monkeypatch):
    def away(*_args, **_options):
        raise RedisError

    secret = code(portal, "F001")
    monkeypatch.setattr(portal.runtime.redis, "pipeline", away)
    answers = [guess(portal, "F001", "10.9.1.1") for _time in range(TRIES_BY_ADDRESS + 1)]
    assert answers[-2] == "wrong"
    assert waits(answers[-1])
    assert isinstance(guess(portal, "F001", "10.9.1.1", secret), int)


def test_a_process_that_counts_alone_does_not_grow(portal, monkeypatch):
    def away(*_args, **_options):
        raise RedisError

    monkeypatch.setattr(portal.runtime.redis, "pipeline", away)
    throttle = Throttle(portal.runtime.redis)
    for number in range(KEPT_IN_PROCESS * 2):
        throttle.spend(Allowance(f"x{number}", 5, timedelta(minutes=1)))
    assert len(throttle._local) <= KEPT_IN_PROCESS


@given(
    st.lists(st.sampled_from(["spend", "give_back", "used_up"]), max_size=40),
    st.integers(1, 6),
    st.booleans(),
)
@settings(suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_an_allowance_counts_what_was_not_given_back(portal, moves, limit, away):
    throttle = Throttle(portal.runtime.redis)
    with pytest.MonkeyPatch.context() as patch:
        if away:
            patch.setattr(portal.runtime.redis, "pipeline", mock.Mock(side_effect=RedisError))
        allowance = Allowance(f"any-{uuid.uuid4()}", limit, timedelta(minutes=1))
        count = 0
        for move in moves:
            answer = getattr(throttle, move)(allowance)
            if move == "spend":
                count += 1
                assert (answer > 0) == (count > limit)
            elif move == "give_back":
                count = max(count - 1, 0)
            else:
                assert (answer > 0) == (count >= limit)


# --- Passwords of fewer bits ---------------------------------------------------------------------

PHRASE = "une phrase de passe"


def open_account(portal, email, family="F001"):
    with portal.town() as town:
        return town.sign_in.create_account(town.families.by_code(family).id, email, PHRASE)


def knock(portal, email, password, address, browser=""):
    with portal.town() as town:
        return knocked(town, email, password, address, browser)


def knocked(town, email, password, address, browser=""):
    try:
        return town.sign_in.by_account(email, password, address, browser=browser)
    except (WrongCodesError, ThrottledError):
        return "wrong"


def siege(portal, email, network):
    """Try as many wrong passwords as a day takes, from everywhere."""
    with portal.town() as town:
        for number in range(PASSWORD_TRIES):
            assert knocked(town, email, "wrong", f"10.{network}.{number}.1") == "wrong"


def mails(portal, kind):
    with portal.town() as town:
        return town.session.scalars(
            text("SELECT address FROM message WHERE kind = :kind"), {"kind": kind}
        ).all()


@pytest.fixture
def besieged(portal, many):
    """Camille's account, after as many wrong passwords as a day takes."""
    open_account(portal, "camille@exemple.fr")
    siege(portal, "camille@exemple.fr", 20)
    return portal


def test_a_password_is_tried_a_hundred_times_a_day_and_no_more(besieged):
    """Then nothing tells a right one from a wrong one, but to its owner's mailbox."""
    before = mails(besieged, "account_way_in")
    assert knock(besieged, "camille@exemple.fr", "wrong", "10.21.0.1") is None
    assert mails(besieged, "account_way_in") == before
    assert knock(besieged, "camille@exemple.fr", PHRASE, "10.21.0.2") is None
    assert mails(besieged, "account_way_in") == [*before, "camille@exemple.fr"]
    siege(besieged, "nobody@exemple.fr", 22)
    assert knock(besieged, "nobody@exemple.fr", "wrong", "10.21.0.3") is None


def newest_way_in(town):
    ways_in = select(MessageRow).where(MessageRow.kind == "account_way_in")
    return town.session.scalars(ways_in.order_by(MessageRow.id.desc()).limit(1)).one()


def test_the_owner_comes_in_by_mail_by_codes_and_by_the_known_browser(besieged, app):
    assert isinstance(guess(besieged, "F001", "10.20.1.1", code(besieged)), int)
    assert knock(besieged, "camille@exemple.fr", PHRASE, "10.20.1.1", "known") is not None
    form = form_of(app.get("/valmont/connexion/compte"), "password")
    form["email"], form["password"] = "Camille@exemple.fr", PHRASE
    page = form.submit()
    assert page.status_int == 200
    with besieged.town() as town:
        row = newest_way_in(town)
        link = town.letters.render(row).links[0].url.removeprefix("http://localhost")
    answer = app.get(link).forms[list(app.get(link).forms)[-1]].submit()
    assert app.get(answer.location).status_int == 200
    assert TestApp(app.app).get(link, status=404).status_int == 404
    # And this browser is known from now on.
    app.get("/valmont/compte")
    app.cookies.pop("preau_family")
    form = form_of(app.get("/valmont/connexion/compte"), "password")
    form["email"], form["password"] = "camille@exemple.fr", PHRASE
    assert form.submit().status_int == 303


def test_a_way_in_ends_with_the_password_it_was_mailed_for(besieged, app):
    """Whoever knew the old password may hold the mailbox too."""
    assert knock(besieged, "camille@exemple.fr", PHRASE, "10.20.1.1") is None
    with besieged.town() as town:
        row = newest_way_in(town)
        links = [town.letters.render(row).links[0].url.removeprefix("http://localhost")]
        account = town.session.scalars(select(Account).where(Account.email == "camille@exemple.fr")).one()
        town.sign_in.change_password(account.id, PHRASE, "ten other words, none of them of today", keep=0)
        # A mail that was still on its way, too.
        links.append(town.letters.render(row).links[0].url.removeprefix("http://localhost"))
    for link in links:
        page = app.get(link, status=404)
        assert "token" not in page.forms
        with besieged.town() as town:
            assert town.sign_in.by_way_in(link.rpartition("/")[2]) is None


def test_the_page_says_the_same_of_a_right_password(besieged, app):
    pages = []
    for password in ("wrong password", PHRASE):
        form = form_of(app.get("/valmont/connexion/compte"), "password")
        form["email"], form["password"] = "camille@exemple.fr", password
        pages.append(form.submit())
    assert main_of(pages[0]) == main_of(pages[1])
    assert pages[0].status_int == pages[1].status_int == 200


def test_a_known_browser_that_guesses_is_known_no_more(besieged):
    for _time in range(PASSWORD_TRIES_BY_BROWSER):
        assert knock(besieged, "camille@exemple.fr", "wrong", "10.23.0.1", "stolen") == "wrong"
    assert knock(besieged, "camille@exemple.fr", PHRASE, "10.23.0.1", "stolen") is None
    assert knock(besieged, "camille@exemple.fr", PHRASE, "10.23.0.1", "another") is not None


def test_who_comes_in_by_password_is_not_counted(portal, many):
    open_account(portal, "camille@exemple.fr")
    with portal.town() as town:
        for _time in range(PASSWORD_TRIES * 2):
            assert isinstance(knocked(town, "camille@exemple.fr", PHRASE, "10.24.0.1"), tuple)


def test_an_open_session_guesses_no_password_and_strangers_stop_none(portal, many):
    account_id = open_account(portal, "camille@exemple.fr")
    siege(portal, "camille@exemple.fr", 25)

    def change(current, session):
        with portal.town() as town:
            town.sign_in.change_password(account_id, current, "une autre phrase", keep=session)

    for _time in range(PASSWORD_TRIES_BY_SESSION):
        with pytest.raises(UserError, match="n’est pas le bon"):
            change("wrong", 1)
    with pytest.raises(ThrottledError):
        change(PHRASE, 1)
    change(PHRASE, 2)


def test_lost_codes_fill_no_mailbox_and_are_kept_from_nobody(portal):
    with portal.town() as town:
        family = town.families.by_code("F001").id
        town.alerts.add(family, "camille@exemple.fr")
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
    for _minute in range(60):
        portal.clock.pass_time(minutes=1)
        with portal.town() as town:
            town.sign_in.request_new_code("camille@exemple.fr")
            town.sign_in.request_new_code(f"{_minute}@exemple.fr")
    assert len(mails(portal, "lost_codes")) == LOST_CODES_MAILS


# --- Agents --------------------------------------------------------------------------------------


@pytest.fixture
def regisseur(portal):
    """A régisseur's address, password, way to make telephone codes, and recovery codes."""
    with portal.town() as town:
        email = f"{uuid.uuid4().hex}@valmont.fr"
        agent_id = town.agents.create(email, "Claude", Role.REGISSEUR)
        token = town.agent_invitations.new(agent_id)
        secret = town.agent_invitations.pending(token).secret
        totp = TOTP(secret)
        _id, spare = town.agent_invitations.accept(token, "une longue phrase sans surprise", totp.at(portal.clock.now()))
    portal.clock.pass_time(minutes=2)
    return SimpleNamespace(
        id=agent_id, email=email, password="une longue phrase sans surprise",
        code=lambda: totp.at(portal.clock.now()), spare=spare,
    )  # fmt: skip


def prove(portal, agent, password, code, address, browser=""):
    with portal.town() as town:
        return proved(town, agent, password, code, address, browser)


def proved(town, agent, password, code, address, browser=""):
    try:
        return town.agent_proof.prove(agent.email, password, code, address, browser=browser)
    except (WrongCodesError, ThrottledError):
        return "wrong"


def test_an_agent_guessed_at_from_everywhere_comes_in(portal, many, regisseur):
    """The address of the régie is printed on the town's site."""
    with portal.town() as town:
        for number in range(300):
            assert proved(town, regisseur, "wrong", "123456", f"10.30.{number}.0") == "wrong"
    assert prove(portal, regisseur, regisseur.password, regisseur.code(), "10.30.1.0") == regisseur.id


def test_the_second_factor_is_missed_ten_times_a_day_by_who_knows_the_password(portal, regisseur):
    for number in range(SECOND_FACTOR_TRIES):
        assert prove(portal, regisseur, regisseur.password, "000000", f"10.31.{number}.1") == "wrong"
    # The answer is that of a wrong one: nobody learns that the password was right.
    assert prove(portal, regisseur, regisseur.password, regisseur.code(), "10.31.99.1") == "wrong"
    # The owner's browser has tries of its own, and recovery codes have bits enough.
    portal.clock.pass_time(minutes=2)
    assert prove(portal, regisseur, regisseur.password, regisseur.code(), "10.31.99.1", "known") == regisseur.id
    assert prove(portal, regisseur, regisseur.password, regisseur.spare[0], "10.31.99.1") == regisseur.id


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


FORM = "application/x-www-form-urlencoded"
ODD_TYPES = [
    f"{FORM}; charset=ISO-8859-1",
    f"{FORM}; charset=windows-1252",
    f"{FORM}; charset=utf-16",
    f"{FORM}; charset=x-nonsense",
    f'{FORM}; charset="',
    f"{FORM}; charset=",
    f"{FORM};;; charset=UTF8",
    f"{FORM}; charset=utf-8; charset=latin-1",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=\xe9",
    "multipart/form-data; boundary=b; charset=utf-7",
    "multipart/mixed; boundary=b",
    "application/json; charset=utf-16",
    "text/plain; charset=ascii",
    "nonsense",
    ";",
    "\xff\xfe",
]


ODD_BODIES = [b"family_code=F001&child_code=x", b"a=%E9", b"\xff\xfea\0=\0", b"--b\r\n", b""]


@pytest.mark.parametrize(
    "path", ["/valmont/connexion", "/valmont/langue", "/valmont/regie/connexion", "/valmont/paiements", "/nowhere"]
)
def test_a_form_of_an_odd_type_is_refused_in_words(app, path):
    """Also where it would not be read: no type or encoding is an error of ours."""
    wrong = []
    for kind, body in itertools.product(ODD_TYPES, ODD_BODIES):
        answer = app.post(path, params=body, headers={"Content-Type": kind}, expect_errors=True)
        in_words = answer.status_int != 400 or "Ce formulaire n’a pas pu être lu" in answer
        read = app.get(path, headers={"Content-Type": kind}, expect_errors=True)
        if answer.status_int not in {303, 400, 403, 404, 422} or not in_words or read.status_int >= 500:
            wrong.append((kind, body, answer.status, read.status))
    assert wrong == []


@pytest.mark.parametrize("query", ["x=%E9", "next=%FF%FE", "%80"])
def test_a_query_that_is_no_text_is_refused_in_words(app, query):
    answer = app.get(f"/valmont/connexion?{query}", expect_errors=True)
    assert answer.status_int == 400
    assert "n’a pas pu être lue" in answer


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
        answer = app.get(path, headers={"Host": host}, expect_errors=True)
        assert answer.status_int == 404


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
