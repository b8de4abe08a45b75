"""Exports of payments that go out by themselves: to a folder, over SFTP, over HTTPS."""

from __future__ import annotations

import csv
import io
from contextlib import suppress

from click.testing import CliRunner

from core.api.payments import Means
from core.cli import invoices as cli_invoices
from core.cli.payments import payments as command
from core.exchanges.exports import PaymentExports
from core.testing.portal import record


def pay(portal, number, amount, key):
    with portal.town() as town:
        invoice = town.invoices.by_number(number)[0]
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=amount, paid_at=town.clock.now(),
            payer="x", shares=[(invoice.id, amount)], key=key,
        )  # fmt: skip


def send(portal):
    with portal.town() as town:
        return town.sending.send("CANTINE")


def problem(portal):
    with portal.town() as town:
        return town.exchange_states.all()[0].problem


def amounts(content):
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";")
    return [row["montant"] for row in rows]


def owed(portal):
    portal.publish(record("1"), record("2"))
    return portal


def to_folder(folder):
    return f'\n[exchanges.payments.CANTINE]\nfolder = "{folder}"\nevery_minutes = 60\n'


def test_exports_are_put_into_a_folder_whole_once_in_order(town_with, box):
    portal = owed(town_with(to_folder(box)))
    assert send(portal) == 0
    assert problem(portal) == ""
    pay(portal, "1", 100, "a")
    assert send(portal) == 1
    pay(portal, "2", 200, "b")
    assert send(portal) == 1
    assert send(portal) == 0
    files = sorted(path.name for path in box.iterdir())
    assert files == ["reglements-CANTINE-00001.csv", "reglements-CANTINE-00002.csv"]
    assert [amounts((box / name).read_bytes()) for name in files] == [["1,00"], ["2,00"]]
    with portal.town() as town:
        assert town.payment_exports.numbered("CANTINE", 1).left_by == "exchange:CANTINE"


def test_a_folder_that_is_away_keeps_them_for_later(town_with, box):
    portal = owed(town_with(to_folder(box / "absent")))
    pay(portal, "1", 100, "a")
    assert send(portal) == 0
    assert "n’existe pas" in problem(portal)
    pay(portal, "2", 200, "b")
    assert send(portal) == 0
    (box / "absent").mkdir()
    assert send(portal) == 2
    assert problem(portal) == ""


class PowerCutError(BaseException):
    """The machine fails."""


def test_one_that_left_without_a_note_leaves_again_as_the_same_file(town_with, box, monkeypatch):
    portal = owed(town_with(to_folder(box)))
    pay(portal, "1", 100, "a")
    with monkeypatch.context() as patch:
        patch.setattr(PaymentExports, "leave", lambda *_a: (_ for _ in ()).throw(PowerCutError))
        with suppress(PowerCutError):
            send(portal)
    (file,) = box.iterdir()
    before = file.read_bytes()
    assert send(portal) == 1
    assert [path.read_bytes() for path in box.iterdir()] == [before]


def test_exports_go_over_sftp(town_with, ssh, monkeypatch):
    monkeypatch.setenv("DEPOT", "secret")
    portal = owed(
        town_with(
            f'\n[exchanges.payments.CANTINE.sftp]\nhost = "127.0.0.1"\nport = {ssh.port}\nuser = "valmont"\n'
            f'folder = "depot"\nhost_keys = ["{ssh.host_key}"]\npassword = {{ env = "DEPOT" }}\n'
        )
    )
    pay(portal, "1", 100, "a")
    assert send(portal) == 1, problem(portal)
    with portal.town() as town:
        town.payment_exports.again(town.payment_exports.numbered("CANTINE", 1).id)
    assert send(portal) == 1, problem(portal)
    (file,) = (ssh.root / "valmont" / "depot").iterdir()
    assert file.name == "reglements-CANTINE-00001.csv"
    assert amounts(file.read_bytes()) == ["1,00"]


def test_exports_are_pushed_over_https_with_a_token_and_a_key(town_with, web, authority, monkeypatch):
    monkeypatch.setenv("JETON", web.token)
    portal = owed(
        town_with(
            f'\n[exchanges.payments.CANTINE.https]\nurl = "{web.url}"\ntoken = {{ env = "JETON" }}\n'
            f'ca = "{authority}/ca.pem"\n'
        )
    )
    pay(portal, "1", 100, "a")
    web.status = 500
    assert send(portal) == 0
    assert "500" in problem(portal)
    web.status = 200
    assert send(portal) == 1
    ((key, kind, content),) = web.received
    assert key == "valmont-CANTINE-1"
    assert kind == "text/csv; charset=utf-8"
    assert amounts(content) == ["1,00"]
    assert send(portal) == 0
    assert len(web.received) == 1


def test_the_command_sends_now(town_with, box, monkeypatch):
    portal = owed(town_with(to_folder(box)))
    monkeypatch.setattr(cli_invoices, "get_runtime", lambda: portal.runtime)
    pay(portal, "1", 100, "a")

    def run(*arguments):
        return CliRunner().invoke(command, ["send", "valmont", *arguments])

    assert "Sent 1" in run("CANTINE").output
    assert run("GARDERIE").exit_code == 1
    for file in box.iterdir():
        file.unlink()
    box.rmdir()
    pay(portal, "2", 100, "b")
    answer = run("CANTINE")
    assert answer.exit_code == 1
    assert "n’existe pas" in answer.output
