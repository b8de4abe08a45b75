"""Invoices that come in by themselves: whole, once, told in words, from folders and real servers."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import asyncssh
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from core.cli import invoices as cli_invoices
from core.domain.tabular.rows import title
from core.exchanges import intake, places
from core.platform.outbox.schedule import tick
from core.platform.tenancy.config import TenantConfigError
from core.processes.consumers import OWN_SCHEDULE, OWN_WHERE

HEAD = "regie;numero;code_famille;debiteur;libelle;montant;date_facture;date_echeance;exercice\n"


def sheet(*numbers, amount="56,87", family="F001"):
    return HEAD + "".join(
        f"CANTINE;{number};{family};DURAND;CANTINE mars;{amount};01/03/2026;31/03/2026;2026\n" for number in numbers
    )


def in_folder(box, more=""):
    return f'\n[exchanges.invoices.ciril]\nfolder = "{box}"\n{more}'


def look(portal, name="ciril", slug="valmont"):
    with portal.town(slug) as town:
        return town.intake.look(name)


def looks(portal, name="ciril", slug="valmont"):
    """Two looks, long enough apart for a file to count as whole."""
    look(portal, name, slug)
    portal.clock.pass_time(minutes=2)
    return look(portal, name, slug)


def states(portal, place="ciril", slug="valmont"):
    with portal.town(slug) as town:
        return {file.file_name: str(file.state) for file in town.exchange_states.files(place)}


def problem(portal, slug="valmont"):
    with portal.town(slug) as town:
        return next(one.problem for one in town.exchange_states.all())


def numbers(portal, slug="valmont"):
    with portal.town(slug) as town:
        return sorted(town.session.scalars(text("SELECT number FROM invoice")).all())


def mails(portal, slug="valmont"):
    with portal.town(slug) as town:
        return town.session.execute(
            text("SELECT address, payload FROM message WHERE kind = 'invoices_received' ORDER BY id")
        ).all()


# --- A folder ------------------------------------------------------------------------------------


def test_a_file_is_read_once_it_is_whole_left_as_a_draft_and_told(town_with, box):
    portal = town_with(in_folder(box))
    (box / "mars.csv").write_text(sheet("1"))
    assert look(portal) == 0
    assert states(portal) == {"mars.csv": "seen"}
    with (box / "mars.csv").open("a") as out:  # It was still being written.
        out.write(sheet("2").removeprefix(HEAD))
    portal.clock.pass_time(minutes=5)
    assert look(portal) == 0
    portal.clock.pass_time(seconds=30)
    assert look(portal) == 0
    portal.clock.pass_time(seconds=31)
    assert look(portal) == 1
    assert numbers(portal) == ["1", "2"]
    with portal.town() as town:
        (batch,) = town.imports.batches()
        assert batch.published_at is None
        assert batch.actor == "exchange:ciril"
    ((address, payload),) = mails(portal)
    assert address == "regie@valmont.test"
    assert (payload["created"], payload["published"]) == (2, 0)
    assert look(portal) == 0
    assert len(mails(portal)) == 1


@pytest.mark.parametrize("name", [".mars.csv", "mars.csv.part", "mars.csv~", "mars.tmp", "MARS.PART"])
def test_what_a_program_still_writes_is_no_file(town_with, box, name):
    portal = town_with(in_folder(box))
    (box / name).write_text(sheet("1"))
    (box / "sub").mkdir()
    os.mkfifo(box / "pipe")
    assert looks(portal) == 0
    assert states(portal) == {}


def test_the_same_bytes_are_never_imported_twice(town_with, box):
    portal = town_with(in_folder(box))
    (box / "a.csv").write_text(sheet("1"))
    looks(portal)
    with portal.town() as town:
        town.imports.undo(town.imports.batches()[0].id)
    (box / "b.csv").write_text(sheet("1"))
    os.utime(box / "a.csv", (1, 1))  # Put there again.
    looks(portal)
    assert states(portal) == {"a.csv": "known", "b.csv": "known"}
    assert numbers(portal) == []
    assert len(mails(portal)) == 1


def test_what_a_person_imported_is_known(town_with, box):
    portal = town_with(in_folder(box))
    with portal.town() as town, (Path(box).parent / "x.csv").open("w+b") as out:
        out.write(sheet("1").encode())
        out.seek(0)
        town.uploads.confirm(town.uploads.receive(out, "x.csv", "csv"))
    (box / "a.csv").write_text(sheet("1"))
    looks(portal)
    assert states(portal) == {"a.csv": "known"}


def test_a_broken_file_is_told_once_and_read_again_when_it_is_replaced(town_with, box):
    portal = town_with(in_folder(box, "move = true\n"))
    broken = sheet("1", amount="beaucoup")
    (box / "mars.csv").write_text(broken)
    assert looks(portal) == 1
    assert states(portal) == {"mars.csv": "refused"}
    assert (box / "refuses" / "mars.csv").read_text() == broken
    ((_address, payload),) = mails(portal)
    assert payload["is_refused"]
    assert payload["problems"][0]["line"] == 2
    assert "DURAND" not in str(payload)
    (box / "mars.csv").write_text(broken)
    os.utime(box / "mars.csv", (5, 5))
    looks(portal)
    assert len(mails(portal)) == 1, "the same fault is told once"
    (box / "mars.csv").write_text(sheet("1"))
    looks(portal)
    assert states(portal) == {"mars.csv": "imported"}
    assert numbers(portal) == ["1"]
    assert (box / "importes" / "mars.csv").exists()
    assert not list(box.glob("*.csv"))


def test_a_format_that_is_missing_is_told_and_the_file_is_read_when_it_is_there(town_with, box):
    portal = town_with(in_folder(box, 'format = "Liste de Ciril v2.1"\n'))
    (box / "mars.csv").write_text(HEAD.replace("montant", "Total TTC") + sheet("1").removeprefix(HEAD))
    looks(portal)
    assert states(portal) == {"mars.csv": "refused"}
    titles = {name: title("Total TTC" if name == "montant" else name) for name in HEAD.strip().split(";")}
    with portal.town() as town:
        town.layouts.keep("invoices", "Liste de Ciril v2.1", {"titles": titles})
    with portal.town() as town:
        upload = town.exchange_states.files("ciril")[0].upload_id
        assert town.uploads.is_kept(upload)
    (box / "mars2.csv").write_text(HEAD.replace("montant", "Total TTC") + sheet("2").removeprefix(HEAD))
    looks(portal)
    assert states(portal)["mars2.csv"] == "imported"
    assert numbers(portal) == ["2"]


@pytest.mark.parametrize(
    ("rule", "published"), [("never", 0), ("always", 1), ("if_clean", 1)]
)
def test_what_came_is_published_by_the_rule_of_its_place(town_with, box, rule, published):
    portal = town_with(in_folder(box, f'publish = "{rule}"\n'))
    (box / "a.csv").write_text(sheet("2"))
    looks(portal)
    with portal.town() as town:
        assert len([one for one in town.imports.batches() if one.published_at]) == published
    assert numbers(portal) == ["2"]
    assert mails(portal)[0][1]["published"] == published


def test_what_has_to_be_looked_at_is_not_published_by_itself(town_with, box):
    portal = town_with(in_folder(box, 'publish = "if_clean"\n'))
    head = HEAD.strip() + ";type;facture_origine\n"
    line = "CANTINE;A1;F001;DURAND;Avoir;-5,00;01/03/2026;31/03/2026;2026;avoir;nulle-part\n"
    (box / "a.csv").write_text(head + line)
    looks(portal)
    assert states(portal) == {"a.csv": "imported"}
    with portal.town() as town:
        assert town.imports.batches()[0].published_at is None
    assert mails(portal)[0][1]["has_notices"]


def test_a_file_that_is_too_large_is_refused_unread_and_told_once(town_with, box, monkeypatch):
    monkeypatch.setattr(intake, "MAX_FILE_BYTES", 100)
    portal = town_with(in_folder(box))
    (box / "gros.csv").write_text(sheet("1"))
    looks(portal)
    assert states(portal) == {"gros.csv": "refused"}
    looks(portal)
    assert len(mails(portal)) == 1


def test_one_look_reads_a_bounded_number_of_files_and_lists_a_bounded_number(town_with, box, monkeypatch):
    monkeypatch.setattr(intake, "MAX_FILES", 2)
    portal = town_with(in_folder(box))
    for number in range(5):
        (box / f"{number}.csv").write_text(sheet(str(number), family=f"F00{number}"))
    assert looks(portal) == 2
    assert [look(portal), look(portal), look(portal)] == [2, 1, 0]
    assert len(numbers(portal)) == 5
    monkeypatch.setattr(places, "MAX_LISTED", 3)
    look(portal)
    assert "videz-le" in problem(portal)


def test_a_folder_that_is_away_costs_a_line_and_comes_back(town_with, box):
    portal = town_with(in_folder(box / "absent"))
    assert look(portal) == 0
    assert "n’existe pas" in problem(portal)
    with portal.town() as town:
        (state,) = town.exchange_states.all()
        since = state.failing_since
    portal.clock.pass_time(hours=3)
    look(portal)
    with portal.town() as town:
        (state,) = town.exchange_states.all()
        assert state.failing_since == since
        assert state.reached_at is None
    (box / "absent").mkdir()
    look(portal)
    assert problem(portal) == ""
    assert not [row for row in portal.outbox() if row.state == "dead"]


def test_links_lead_nowhere(town_with, box, tmp_path):
    portal = town_with(in_folder(box))
    (tmp_path / "autre.csv").write_text(sheet("1"))
    (box / "lien.csv").symlink_to(tmp_path / "autre.csv")
    assert looks(portal) == 0
    assert states(portal) == {}


class PowerCutError(BaseException):
    """The machine fails."""


@pytest.mark.parametrize("moment", ["imported", "told", "moved"])
def test_a_reader_that_is_killed_leaves_nothing_half_done(town_with, box, monkeypatch, moment):
    portal = town_with(in_folder(box, "move = true\n"))
    (box / "mars.csv").write_text(sheet("1", "2"))
    place = {
        "imported": (intake.Intake, "_publish"), "told": (intake.Intake, "_mail"), "moved": (places.Folder, "move"),
    }[moment]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(*place, lambda *_a, **_k: (_ for _ in ()).throw(PowerCutError))
        with suppress(PowerCutError):
            looks(portal)
    if moment != "moved":
        assert look(portal) == 1, "its reader may still be at it"
        assert numbers(portal) == []
    portal.clock.pass_time(minutes=31)
    assert numbers(portal) == ([] if moment != "moved" else ["1", "2"])
    look(portal)
    assert numbers(portal) == ["1", "2"]
    assert len(mails(portal)) == 1
    assert (box / "importes" / "mars.csv").exists()
    with portal.town() as town:
        assert len(town.imports.batches()) == 1


def test_looks_at_the_same_moment_import_once(town_with, box):
    portal = town_with(in_folder(box))
    for number in range(3):
        (box / f"{number}.csv").write_text(sheet(str(number), family=f"F00{number}"))
    (box / "double.csv").write_text(sheet("0", family="F000"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _n: look(portal), range(4)))
        portal.clock.pass_time(minutes=2)
        list(pool.map(lambda _n: look(portal), range(4)))
    assert numbers(portal) == ["0", "1", "2"]
    assert sorted(states(portal).values()) == ["imported", "imported", "imported", "known"]
    assert len(mails(portal)) == 3


def test_a_file_that_ends_its_reader_each_time_is_given_up(town_with, box, monkeypatch):
    portal = town_with(in_folder(box))
    (box / "mars.csv").write_text(sheet("1"))
    look(portal)
    portal.clock.pass_time(minutes=2)
    with monkeypatch.context() as patch:
        patch.setattr(intake.Intake, "_was_imported", lambda *_a: (_ for _ in ()).throw(PowerCutError))
        for _time in range(3):
            with suppress(PowerCutError):
                look(portal)
            portal.clock.pass_time(minutes=31)
        assert states(portal) == {"mars.csv": "reading"}
        look(portal)
    assert states(portal) == {"mars.csv": "refused"}
    assert "interrompue" in mails(portal)[0][1]["problems"][0]["message"]


# --- SFTP ----------------------------------------------------------------------------------------


def by_sftp(ssh, user="valmont", *, way='password = { env = "DEPOT" }', key=None, more=""):
    keys = key or ssh.host_key
    return (
        f'\n[exchanges.invoices.ciril]\n{more}[exchanges.invoices.ciril.sftp]\nhost = "127.0.0.1"\nport = {ssh.port}\n'
        f'user = "{user}"\nfolder = "depot"\nhost_keys = ["{keys}"]\n{way}\n'
    )


def test_an_sftp_directory_is_looked_at_and_its_files_moved(town_with, ssh, monkeypatch):
    monkeypatch.setenv("DEPOT", "secret")
    portal = town_with(by_sftp(ssh, more="move = true\n"))
    depot = ssh.root / "valmont" / "depot"
    (depot / "mars.csv").write_text(sheet("1"))
    (depot / "avril.csv").write_text(sheet("2", amount="x"))
    assert look(portal) == 0
    assert problem(portal) == ""
    portal.clock.pass_time(minutes=2)
    assert look(portal) == 2
    assert numbers(portal) == ["1"]
    assert (depot / "importes" / "mars.csv").exists()
    assert (depot / "refuses" / "avril.csv").exists()
    assert look(portal) == 0


def test_a_private_key_opens_too(town_with, ssh, tmp_path):
    (tmp_path / "key").write_text(ssh.private_key)
    portal = town_with(by_sftp(ssh, way=f'private_key = {{ file = "{tmp_path}/key" }}'))
    look(portal)
    assert problem(portal) == ""


def test_a_server_with_another_key_is_told_nothing(town_with, ssh, monkeypatch):
    monkeypatch.setenv("DEPOT", "secret")
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    portal = town_with(by_sftp(ssh, key=other))
    look(portal)
    assert "ne présente pas la clé attendue" in problem(portal)


def test_a_refused_password_a_missing_directory_and_a_server_that_is_away(town_with, ssh, monkeypatch):
    monkeypatch.setenv("DEPOT", "faux")
    portal = town_with(by_sftp(ssh))
    look(portal)
    assert "refuse le nom" in problem(portal)
    ssh.server.close()
    look(portal)
    assert "ne répond pas" in problem(portal)


def test_two_towns_of_one_server_never_mix(town_with, ssh, monkeypatch):
    monkeypatch.setenv("DEPOT", "secret")
    portal = town_with(by_sftp(ssh), by_sftp(ssh, "brumes"))
    (ssh.root / "valmont" / "depot" / "a.csv").write_text(sheet("v"))
    (ssh.root / "brumes" / "depot" / "a.csv").write_text(sheet("b"))
    looks(portal)
    looks(portal, slug="brumes")
    assert numbers(portal) == ["v"]
    assert numbers(portal, "brumes") == ["b"]


# --- HTTPS ---------------------------------------------------------------------------------------


def by_https(web, authority, *, ca=True, token='token = { env = "JETON" }'):
    more = f'ca = "{authority}/ca.pem"\n' if ca else ""
    return f'\n[exchanges.invoices.ciril.https]\nurl = "{web.url}"\n{token}\n{more}'


def test_an_address_is_asked_and_each_file_is_read_once(town_with, web, authority, monkeypatch):
    monkeypatch.setenv("JETON", web.token)
    portal = town_with(by_https(web, authority))
    assert look(portal) == 1
    assert problem(portal) == ""
    assert states(portal) == {}
    web.file = sheet("1").encode()
    look(portal)
    assert states(portal) == {"factures.csv": "imported"}
    look(portal)
    assert len(mails(portal)) == 1
    web.file, web.headers = sheet("2").encode(), {"Content-Disposition": 'attachment; filename="../avril.csv"'}
    look(portal)
    assert numbers(portal) == ["1", "2"]
    assert set(states(portal)) == {"factures.csv", "factures"}


def test_an_answer_that_breaks_off_is_not_read(town_with, web, authority, monkeypatch):
    monkeypatch.setenv("JETON", web.token)
    portal = town_with(by_https(web, authority))
    web.file, web.cut = sheet("1", "2").encode(), 70
    look(portal)
    assert "ne répond pas" in problem(portal)
    assert numbers(portal) == []
    web.cut = 0
    look(portal)
    assert numbers(portal) == ["1", "2"]


def test_a_certificate_of_nobody_a_wrong_token_and_an_error_are_told(town_with, web, authority, monkeypatch):
    monkeypatch.setenv("JETON", "faux")
    portal = town_with(by_https(web, authority), by_https(web, authority, ca=False).replace("factures.csv", "b.csv"))
    look(portal)
    assert "refuse le jeton" in problem(portal)
    look(portal, slug="brumes")
    assert "n’est pas reconnu" in problem(portal, "brumes")
    web.token, web.status = "faux", 503
    look(portal)
    assert "503" in problem(portal)
    web.status, web.headers = 302, {"Location": "https://localhost/ailleurs"}
    look(portal)
    assert "302" in problem(portal), "a token follows no redirection"


def test_an_address_that_never_ends_is_bounded(town_with, web, authority, monkeypatch):
    monkeypatch.setenv("JETON", web.token)
    monkeypatch.setattr(places, "MAX_FILE_BYTES", 1000)
    portal = town_with(by_https(web, authority))
    web.file = b"x" * 5000
    look(portal)
    assert set(states(portal).values()) == {"refused"}
    look(portal)
    assert len(mails(portal)) == 1


# --- In the town's file, by the clock, by command --------------------------------------------------


def test_beat_asks_once_a_period_and_only_where_there_are_places(town_with, box):
    portal = town_with(in_folder(box))
    (box / "a.csv").write_text(sheet("1"))
    periodic = next(one for one in OWN_SCHEDULE if one.name == "exchanges")
    for _beat in range(6):
        tick(portal.runtime, "", periodic, OWN_WHERE["exchanges"])
        portal.work()
        portal.clock.pass_time(minutes=5)
    assert numbers(portal) == ["1"]
    looked = [row for row in portal.outbox() if row.topic == "exchange.look"]
    assert 2 <= len(looked) <= 3
    assert not [row for row in portal.outbox("brumes") if row.topic.startswith("exchange")]


WRONG = {
    "two places": ('[exchanges.invoices.a]\nfolder = "/a"\nhttps = { url = "https://x.fr" }', "one only"),
    "no place": ("[exchanges.invoices.a]\n", "one only"),
    "not encrypted": ('[exchanges.invoices.a]\nhttps = { url = "http://x.fr/" }', "https://"),
    "a password in it": ('[exchanges.invoices.a]\nhttps = { url = "https://a:b@x.fr/" }', "https://"),
    "relative": ('[exchanges.invoices.a]\nfolder = "depot"', "absolute"),
    "no host key": (
        '[exchanges.invoices.a.sftp]\nhost = "x"\nuser = "u"\npassword = "p"\nhost_keys = []', "host_keys",
    ),
    "no way in": ('[exchanges.invoices.a.sftp]\nhost = "x"\nuser = "u"\nhost_keys = ["k"]', "password or private_key"),
    "a secret that is missing": ('[exchanges.invoices.a.https]\nurl = "https://x"\ntoken = { env = "NO_SUCH" }', "NO_SUCH"),
    "too often": ('[exchanges.invoices.a]\nfolder = "/a"\nevery_minutes = 1', "every_minutes"),
    "no such régie": ('[exchanges.payments.NULLE]\nfolder = "/a"', "NULLE"),
    "the trésorerie's": ('[exchanges.payments.CRECHE]\nfolder = "/a"', "CRECHE"),
    "no address": ('[exchanges]\ntell = ["x"]', "e-mail"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_place_is_named(portal, case):
    lines, words = WRONG[case]
    with pytest.raises(TenantConfigError) as caught:
        portal.configure("valmont", lines)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("/srv/a", "/srv/a"), ("/srv/a", "/srv/a/b"), ("/srv/a/b", "/srv/a"), ("/srv/a", "/srv/c/../a")],
)
def test_two_towns_cannot_have_one_folder(portal, ours, theirs):
    portal.configure("brumes", in_folder(ours))
    with pytest.raises(TenantConfigError, match="a place of brumes"):
        portal.configure("valmont", in_folder(theirs))


def test_the_command_looks_now(town_with, box, monkeypatch):
    portal = town_with(in_folder(box))
    monkeypatch.setattr(cli_invoices, "get_runtime", lambda: portal.runtime)
    (box / "a.csv").write_text(sheet("1"))

    def run(*arguments):
        return CliRunner().invoke(cli_invoices.invoices, ["look", "valmont", *arguments])

    assert "ciril: 0 file(s) read" in run().output
    portal.clock.pass_time(minutes=2)
    assert "ciril: 1 file(s) read" in run("ciril").output
    assert run("autre").exit_code == 1
