"""The back office's pages and the commands, over a town in memory."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from cheque_fakes import HEADER, fake_town, line
from click.testing import CliRunner
from pyramid.config import Configurator
from pyramid.events import BeforeRender
from sqlalchemy import select
from webtest import TestApp

from core.platform import templating
from core.plugin import Audience, UserError
from plugins.cheque_import import commands, coupon, plugin
from plugins.cheque_import.matcher.normalise import bare, check_character
from plugins.cheque_import.models import Cheque

ROOT = "/+cheque_import"


def ref(number):
    text = f"2025-010-{number:06d}"
    return f"{text}-{check_character(bare(text))}"


class Web:
    """`WebConfig` over a bare Pyramid configuration; it remembers the permissions."""

    def __init__(self, config):
        self.config = config
        self.permissions = set()

    def add_route(self, name, pattern):
        self.config.add_route(f"cheque_import.{name}", f"{ROOT}/{pattern.lstrip('/')}")

    def add_view(self, view, *, route, method="GET", renderer=None, permission="public", csrf=True):
        self.permissions.add(permission)
        assert csrf
        self.config.add_view(
            view, route_name=f"cheque_import.{route}", request_method=method,
            renderer=f"plugins.cheque_import:templates/{renderer}" if renderer else None,
        )


@pytest.fixture
def town():
    with fake_town() as made:
        yield made


@pytest.fixture
def app(town, tmp_path):
    layout = tmp_path / "office.jinja2"
    layout.write_text("<title>{% block title %}{% endblock %}</title>{% block content %}{% endblock %}")
    config = Configurator(settings={"jinja2.undefined": "strict"})
    config.include("pyramid_jinja2")
    config.add_jinja2_search_path(str(tmp_path))
    config.add_jinja2_search_path("core.platform.web:templates")
    config.add_request_method(lambda _request: town, "ctx", reify=True)
    agent = SimpleNamespace(may_write=True)
    config.add_request_method(lambda _request: agent, "agent", reify=True)
    known = {"csrf_token": "token", "asset": lambda path: f"/static/{path}", "who": str}
    config.add_subscriber(lambda event: event.update(known), BeforeRender)
    web = Web(config)
    plugin.configure_web(config=web)
    assert web.permissions == {"office"}
    config.commit()
    templating.configure(config.get_jinja2_environment())
    app = TestApp(config.make_wsgi_app())
    app.agent = agent
    return app


def press(page, value, *, expect_errors=False, **fields):
    """Press the button `value` of the first form that has it, the fields filled in."""
    form = next(
        f for f in page.forms.values()
        if any(getattr(b, "_value", None) == value for b in f.fields.get("action", []))
    )  # fmt: skip
    for name, text in fields.items():
        form[name] = text
    return form.submit("action", value=value, expect_errors=expect_errors)


def upload(app, *lines, name="remise.csv", **fields):
    content = "\n".join((HEADER, *lines)).encode()
    return app.post(f"{ROOT}/import", {"remise": "", "nombre": "", "total": "", **fields},
                    upload_files=[("fichier", name, content)], expect_errors=True)  # fmt: skip


def cheques(town):
    return town.session.scalars(select(Cheque).order_by(Cheque.id)).all()


def test_upload_then_accept_all_the_certain(app, town):
    page = upload(app, line(ref=ref(10)), line(2, "0000002", amount="1,00"), nombre="2", total="57,87")
    assert "Enregistrés\u00a0: 2" in page.text
    page = app.get(f"{ROOT}/")
    assert "juste" in page.text
    assert "Accepter le chèque certain" in page.text
    press(page, "accepter").follow()
    assert town.balance(10) == 0
    assert "inconnue" not in app.get(f"{ROOT}/").text
    upload(app, line(3, "0000003", "3" * 24, ref="2031-001-000001"), name="b.csv")
    assert "Référence 2031-001-000001 inconnue." in app.get(f"{ROOT}/").text


def test_a_bad_file_shows_each_problem_and_keeps_nothing(app, town):
    page = upload(app, line(amount="cinq"))
    assert page.status_int == 422
    assert "ligne 2" in page.text
    assert "montant" in page.text
    assert cheques(town) == []
    assert app.post(f"{ROOT}/import", {"total": "x"}, expect_errors=True).status_int == 422


def test_a_review_by_keyboard_goes_from_one_cheque_to_the_next(app, town):
    upload(
        app,
        line(1, "0000001", "1" * 24, "51,87", issuer="MARTIN PAUL", ref=ref(10)),
        line(2, "0000002", "2" * 24, "9,99"),
    )
    first, second = cheques(town)
    page = app.get(f"{ROOT}/cheque/{first.id}")
    assert "il manque" in page.text
    assert "autofocus>Accepter" in page.text
    page = press(page, "accepter").follow()
    assert town.balance(10) == 500
    assert page.request.path == f"{ROOT}/cheque/{second.id}"
    refused = app.post(page.request.path, {"action": "classer", "pourquoi": ""}, expect_errors=True)
    assert refused.status_int == 422
    app.post(page.request.path, {"action": "classer", "pourquoi": "payeur inconnu"})
    page = app.get(f"{ROOT}/", {"etat": "to_classify"})
    assert "payeur inconnu" in page.text


def test_a_split_by_hand_starts_with_the_oldest_and_undoes(app, town):
    upload(app, line(amount="60,00"))
    (cheque,) = cheques(town)
    page = app.get(f"{ROOT}/cheque/{cheque.id}", {"famille": "martin"})
    assert "F00001" in page.text
    assert "F00002" in page.text
    page = app.get(f"{ROOT}/cheque/{cheque.id}", {"famille": "f00001"})
    form = next(f for f in page.forms.values() if "famille_id" in f.fields)
    assert form["part_10"].value == "56,87"
    assert form["part_11"].value == "3,13"
    form.submit("action", value="repartir")
    assert (town.balance(10), town.balance(11)) == (0, 2687)
    page = app.get(f"{ROOT}/cheque/{cheque.id}")
    went = page.html.select_one(".card .lines").parent.text
    assert all(word in went for word in ("MARTIN PAUL", "56,87", "3,13"))
    press(page, "annuler", pourquoi="erreur de saisie")
    assert (town.balance(10), town.balance(11)) == (5687, 3000)


def test_coupon_then_cheque_then_the_next(app, town):
    page = app.get(f"{ROOT}/saisie")
    page = press(page, "ouvrir", remise="24 novembre").follow()
    number = "2025-010-000010"
    form = next(f for f in page.forms.values() if "coupon" in f.fields)
    form["coupon"] = f"ville|CANTINE|{number}|{check_character(bare(number))}|5687"
    form["cmc7"] = "<0001234<099999000015:01234567890?:"
    form["cle"] = "63"
    page = form.submit().follow()
    assert "chèque saisi" in page.text
    press(page, "rapprocher")
    (cheque,) = cheques(town)
    assert (cheque.amount, cheque.state) == (5687, "certain")
    form["coupon"] = "ville|CANTINE|x|y"
    refused = form.submit(expect_errors=True)
    assert refused.status_int == 422
    assert "0001234" in next(f for f in refused.forms.values() if "cmc7" in f.fields)["cmc7"].value


def focused(page):
    return [tag["id"] for tag in page.html.select("[autofocus]")]


def test_a_scanner_s_enter_leads_to_what_is_still_missing(app, town):
    """Scanners end what they type with Enter, which sends the form before it is full."""
    page = press(app.get(f"{ROOT}/saisie"), "ouvrir", remise="24/11", total="86,87").follow()
    assert focused(page) == ["coupon"]

    def scan(page, **fields):
        form = next(f for f in page.forms.values() if "coupon" in f.fields)
        for name, text in fields.items():
            form[name] = text
        return form.submit(expect_errors=True)

    number = "2025-010-000010"
    page = scan(page, coupon=f"ville|CANTINE|{number}|{check_character(bare(number))}|5687")
    assert (page.status_int, focused(page)) == (200, ["cmc7"])
    assert "56,87" in page.html.select_one(".note.success").text
    page = scan(page, cmc7="0001234 099999000015 012345678906").follow()
    assert focused(page) == ["coupon"]
    assert "il manque 30,00" in page.html.select_one(".figures").text
    page = scan(page, cheque="0001235")
    assert (page.status_int, focused(page)) == (200, ["montant"])
    page = scan(page, montant="trente")
    assert (page.status_int, focused(page)) == (422, ["montant"])
    assert page.html.select_one("#montant")["aria-invalid"] == "true"
    page = scan(page, montant="30,00").follow()
    assert "total juste" in page.html.select_one(".figures").text
    assert [cheque.amount for cheque in cheques(town)] == [5687, 3000]
    page = scan(page, cmc7="0001234 099999000015 012345678906", montant="1,00")
    assert page.status_int == 422
    assert "déjà enregistré" in page.text


@pytest.mark.parametrize("text", [
    "", "x", "a|b|c", "autre|CANTINE|2025-010-000010|{}|5687", "ville|GARDERIE|2025-010-000010|{}|5687",
    "ville|CANTINE|2025-010-000011|{}|5687", "ville|CANTINE|2025-010-000010|{}|56,87",
])  # fmt: skip
def test_a_coupon_that_is_not_ours_is_refused(text):
    with pytest.raises(UserError):
        coupon.read(text.format(check_character(bare("2025-010-000010"))), town="ville", regie="CANTINE")


def test_a_slip_from_the_page(app, town):
    source = line(ref=ref(10))
    upload(app, source)
    press(app.get(f"{ROOT}/"), "accepter")
    page = app.get(f"{ROOT}/remises")
    form = next(f for f in page.forms.values() if "nombre" in f.fields)
    form["nombre"] = "3"
    assert form.submit(expect_errors=True).status_int == 422
    form["nombre"] = "1"
    page = form.submit().follow()
    assert "2025-CANTINE-0001" in page.text
    (slip,) = town.slips().all()
    assert b"56,87" in app.get(f"{ROOT}/remises/{slip.id}/bordereau.csv").body
    sent = app.post(
        f"{ROOT}/remises/{slip.id}/bordereau.tlmc",
        upload_files=[("fichier", "a.csv", f"{HEADER}\n{source}".encode())],
    )
    assert len(sent.body) == 3 * 321 - 1  # No CR at the very end.
    app.get(f"{ROOT}/remises/{slip.id}/bordereau.tlmc", status=404)
    refused = app.post(
        f"{ROOT}/remises/{slip.id}/bordereau.tlmc",
        upload_files=[("fichier", "a.csv", b"autre chose")], expect_errors=True,
    )
    assert refused.status_int == 422
    assert "0001234" in refused.html.select_one("[role=alert]").text


def test_columns_are_remembered(app, town):
    app.post(f"{ROOT}/import", {"action": "colonnes", "col_montant": "Somme", "col_ref": " "})
    assert town.intake().layout() == {"montant": "Somme"}
    assert 'value="Somme"' in app.get(f"{ROOT}/import").text


def test_a_cheque_left_to_classify_may_bounce_and_the_mistake_be_undone(app, town):
    upload(app, line(amount="9,99"))
    (cheque,) = cheques(town)
    address = f"{ROOT}/cheque/{cheque.id}"
    press(app.get(address), "classer", pourquoi="payeur inconnu")
    town.slips().make("CANTINE")
    page = press(app.get(address), "impaye", motif="opposition").follow()
    assert cheque.state == "bounced"
    page = app.get(address)
    assert "revenu impayé" in page.text
    press(page, "annuler", pourquoi="mauvais chèque")
    assert (cheque.state, cheque.deposit_id is None) == ("review", False)


def test_enter_in_a_reason_does_what_stands_below_it_and_nothing_else(app, town):
    """A browser presses the first button of the form: a bounce must not share it with an undoing."""
    upload(app, line(ref=ref(10)))
    (cheque,) = cheques(town)
    town.desk().accept_certain("CANTINE")
    town.slips().make("CANTINE")
    page = app.get(f"{ROOT}/cheque/{cheque.id}")
    forms = {
        tuple(button["value"] for button in form.select("button"))
        for form in page.html.select("form[method=post]")
    }
    assert forms == {("impaye",), ("annuler",)}


def test_who_may_only_read_is_offered_no_decision(app, town):
    upload(app, line(amount="51,87", ref=ref(10)), line(2, "0000002", ref=ref(30), amount="239,82"))
    first, second = cheques(town)
    address = f"{ROOT}/cheque/{first.id}"
    press(app.get(f"{ROOT}/cheque/{second.id}"), "accepter")
    pages = [address, f"{ROOT}/cheque/{second.id}", f"{ROOT}/", f"{ROOT}/remises"]
    assert all("post" in [f.method.lower() for f in app.get(p).forms.values()] for p in pages)
    app.agent.may_write = False
    assert not any("post" in [f.method.lower() for f in app.get(p).forms.values()] for p in pages)


def test_a_town_s_own_spreadsheet_through_the_columns_it_saved(app, town):
    import io

    import openpyxl

    page = app.get(f"{ROOT}/import")
    press(page, "colonnes", col_montant="Somme", col_cheque="N° chèque", col_emetteur="Nom")
    book = openpyxl.Workbook()
    book.active.append(["Nom", "N° chèque", "Somme", "ref"])
    book.active.append(["MARTIN PAUL", "0001234", 56.87, ref(10)])
    content = io.BytesIO()
    book.save(content)
    fields = {"remise": "novembre", "nombre": "", "total": ""}
    app.post(f"{ROOT}/import", fields, upload_files=[("fichier", "liste.xlsx", content.getvalue())])
    (cheque,) = cheques(town)
    assert (cheque.slip, cheque.issuer, cheque.amount) == ("novembre", "MARTIN PAUL", 5687)
    assert cheque.state == "certain"


def test_what_is_too_much_becomes_a_credit_only_where_the_button_says_so(app, town):
    upload(app, line(amount="61,87", issuer="MARTIN PAUL", ref=ref(10)))
    (cheque,) = cheques(town)
    page = app.get(f"{ROOT}/cheque/{cheque.id}")
    first = page.html.select_one(".proposal")
    assert "de trop" in first.select_one(".pill").text
    button = first.select_one("button")
    assert "garder" in button.text
    assert not button.has_attr("autofocus")
    refused = app.post(f"{ROOT}/cheque/{cheque.id}", {"action": "accepter"}, expect_errors=True)
    assert refused.status_int == 422
    press(page, "accepter")
    (payment,) = town.in_force()
    assert (payment.allocations, payment.credit) == ({10: 5687}, 500)


def test_addresses_of_nothing(app):
    app.get(f"{ROOT}/cheque/99", status=404)
    app.post(f"{ROOT}/cheque/99", {"action": "accepter"}, status=404)


def test_the_menu_is_the_office_s():
    with fake_town() as town:
        (entry,) = plugin.menu_entries(ctx=town, audience=Audience.OFFICE)
        assert entry.route == "cheque_import.queue"
        assert plugin.menu_entries(ctx=town, audience=Audience.PARENTS) == ()


@pytest.fixture
def run(town, tmp_path):
    @contextmanager
    def context(_slug):
        try:
            yield town
        except BaseException:
            town.session.rollback()
            raise
        town.session.commit()

    def run(*arguments, lines=()):
        file = Path(tmp_path, "remise.csv")
        file.write_text("\n".join((HEADER, *lines)), "utf-8")
        arguments = [str(file) if a == "FILE" else a for a in arguments]
        return CliRunner().invoke(commands.cheques, arguments, obj=SimpleNamespace(open=context))

    return run


def test_a_dry_run_tells_what_a_run_does_and_changes_nothing(run, town):
    lines = (line(ref=ref(10)), line(2, "0000002", "2" * 24, "9,99", issuer="MARTIN P"))
    arguments = ("match", "ville", "FILE", "--regie", "CANTINE", "--json")
    told = json.loads(run(*arguments, "--dry-run", lines=lines).output)
    assert [c["would_apply"] for c in told["cheques"]] == [True, False]
    assert told["cheques"][0]["proposals"][0]["invoices"] == [
        {"id": 10, "number": "2025-010-000010", "amount": 5687}
    ]
    assert told["cheques"][1]["proposals"][0]["reasons"]
    assert cheques(town) == []
    done = json.loads(run(*arguments, lines=lines).output)
    assert done["applied"] == 1
    assert done["cheques"] == told["cheques"]
    assert town.balance(10) == 0
    # Each line of a file is told of, those known from before too.
    again = json.loads(run(*arguments, "--dry-run", lines=(*lines, line(3, "0000003"))).output)
    assert (again["new"], again["known"]) == (1, 2)
    assert [c["line"] for c in again["cheques"]] == [2, 3, 4]
    assert again["cheques"][0]["state"] == "accepted"
    assert [c["would_apply"] for c in again["cheques"]][:2] == [False, False]


def test_a_program_reads_of_errors_in_json_too(run):
    bad = run("match", "ville", "FILE", "--regie", "CANTINE", "--json", lines=(line(amount=""),))
    assert bad.exit_code == 1
    assert "ligne 2" in json.loads(bad.output)["error"]
    unclear = run("match", "ville", "FILE", "--json", lines=(line(),))
    assert unclear.exit_code == 2
    assert "--regie" in json.loads(unclear.output)["error"]


def test_import_and_review_commands(run, town):
    done = run("import", "ville", "CANTINE", "FILE", lines=(line(amount="51,87", ref=ref(10)),))
    assert "1 new" in done.output
    told = run("review", "ville").output
    assert "review" in told
    assert "il manque" in told
    assert run("import", "ville", "CRECHE", "FILE", lines=(line(),)).exit_code == 1
    bad = run("import", "ville", "CANTINE", "FILE", lines=(line(amount=""),))
    assert "nothing was stored" in bad.output
    assert "ligne 2" in bad.output
    assert run("match", "ville", "FILE", lines=(line(),)).exit_code == 2
