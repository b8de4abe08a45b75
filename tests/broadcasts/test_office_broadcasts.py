"""The pages of messages to many families, in the hands of agents."""

from __future__ import annotations

import csv
import io

import pytest

from core.domain.roles import Role

WORDS = {"title": "Fermeture", "body": "La cantine est fermée jeudi.", "nature": "necessary"}


def write(browser, **changes):
    page = browser.get("/regie/messages").click("Écrire un message")
    return browser.fill(page, **{**WORDS, "group": "all", **changes})


def test_a_message_is_written_looked_at_sent_and_taken_back(work, portal):
    page = write(work)
    assert "La cantine est fermée jeudi." in page
    assert "Valmont – Fermeture" in page, "the very subject of the mail"
    assert "2 familles sont à prévenir sur papier" in page
    rows = list(csv.reader(io.StringIO(work.get(work.path_of(page) + "/a-prevenir.csv").body.decode("utf-8-sig")), delimiter=";"))
    assert [row[0] for row in rows[1:]] == ["DURAND Camille", "MARTIN Léa"]
    for kind in ("pdf", "xlsx"):
        assert work.get(f"{work.path_of(page)}/a-prevenir.{kind}").status_int == 200
    page = work.press(page, "send")
    assert "Jusque-là, vous pouvez le reprendre" in page
    page = work.press(page, "undo")
    assert "rien n’est parti" in page
    page = work.fill(page.click("Modifier"), title="Fermeture jeudi")
    page = work.press(page, "send", at="2026-03-12T07:00")
    assert "12 mars 2026" in page
    listed = work.get("/regie/messages")
    assert "Fermeture jeudi" in listed
    assert "Prêt à partir" in listed
    portal.clock.pass_time(days=2)
    portal.work()
    work.enter(email="two-days-later@valmont.fr")
    page = work.get(work.path_of(page))
    assert "Envoi" in page
    assert "Reprendre le message" not in page
    trail = work.get("/regie/tracabilite")
    for words in ("Message aux familles écrit", "Envoi d’un message aux familles décidé", "Message parti aux familles"):
        assert words in trail


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"title": "  "}, "Saisissez le titre"),
        ({"body": " "}, "Saisissez le texte"),
        ({"group": "regie"}, "Il manque un choix"),
        ({"body": "x" * 3001}, "trop longue"),
        ({"other_title": "Closed"}, "ni l’un ni l’autre"),
    ],
)
def test_what_is_missing_is_said_and_what_was_typed_stays(work, changes, said):
    page = write(work, **changes)
    assert page.status_int == 422
    assert said in page
    assert work.form(page, "title")["nature"].value == "necessary"


def test_a_group_that_does_not_exist_is_refused(work):
    page = work.get("/regie/messages/nouveau")
    form = work.form(page, "title")
    for name, value in WORDS.items():
        form[name] = value
    form["group"].force_value("nobody.knows")
    assert "Choisissez à qui écrire" in form.submit(expect_errors=True)


def test_a_regie_and_those_who_owe_are_counted(work):
    page = write(work, group="open", **{"open:regie": "CANTINE"})
    assert "Envoyer à 2 familles" in page
    page = write(work, group="regie", **{"regie:regie": "CANTINE"})
    assert "Envoyer à 2 familles" in page


def test_a_message_to_the_whole_town_is_the_regisseurs(work, make_office):
    page = write(work)
    agent = make_office().enter(Role.AGENT, email="agent@valmont.fr")
    assert "Seul le régisseur écrit à toutes les familles" in agent.get(work.path_of(page))
    form = work.form(page, "revision")
    answer = agent.app.post(
        page.request.path,
        {"action": "send", "revision": form["revision"].value,
         "csrf_token": agent.form(agent.get(work.path_of(page)), "csrf_token")["csrf_token"].value},
        expect_errors=True,
    )  # fmt: skip
    assert answer.status_int == 422
    own = write(agent, group="open")
    assert "Jusque-là" in agent.press(own, "send")


def test_who_only_looks_writes_nothing(work, make_office):
    page = write(work)
    reader = make_office().enter(Role.READER, email="reader@valmont.fr")
    assert "Écrire un message" not in reader.get("/regie/messages")
    assert "Supprimer le brouillon" not in reader.get(work.path_of(page))
    assert reader.get("/regie/messages/nouveau", expect_errors=True).status_int == 200
    assert reader.app.post("/valmont/regie/messages/nouveau", {}, expect_errors=True).status_int in {400, 403}


def test_a_draft_is_thrown_away(work):
    page = work.press(write(work), "discard")
    assert "Aucun message pour l’instant" in page
