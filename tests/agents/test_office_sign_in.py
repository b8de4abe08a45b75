"""Agents come in by invitation, then by password and telephone; and out."""

from __future__ import annotations

import re

from office_browser import PASSWORD
from sqlalchemy import text

from core.domain.roles import Role
from core.messages.models import MessageRow


def test_an_invitation_opens_once(office):
    path = office.invite()
    page = office.enrol(path)
    assert "Vos codes de secours" in page
    assert len(re.findall(r"<li>\w{4}-\w{4}-\w{4}</li>", page.text)) == 10
    assert "Claude Martin" in office.get()
    office.get(path, status=404)


def test_an_invitation_wants_the_telephones_code_and_keeps_what_it_can(office):
    page = office.get(office.invite())
    answer = office.fill(page, password=PASSWORD, again=PASSWORD, code="000000")
    assert answer.status_int == 422
    assert "Ce code n’est pas le bon" in answer
    answer = office.fill(page, password="court", again="court", code="000000")
    assert "12 caractères" in answer
    assert "/regie/connexion" in office.get().location


def test_an_invitation_grows_old_and_is_no_other_towns(office, make_office):
    path = office.invite()
    make_office("brumes").get(path, status=404)
    office.portal.clock.pass_time(days=8)
    office.get(path, status=404)


def test_coming_in_needs_all_three_and_tells_no_more(office, portal):
    office.enrol(office.invite())
    office.app.reset()
    portal.clock.pass_time(minutes=1)
    wrong = [
        office.sign_in(code="000000"),
        office.sign_in(password="autre phrase longue"),
        office.sign_in(email="nobody@valmont.fr", code="123456"),
    ]
    said = {re.findall(r"<li>(.*?)</li>", page.text, re.DOTALL)[0].strip() for page in wrong}
    assert [page.status_int for page in wrong] == [422, 422, 422]
    assert said == {"L’adresse, le mot de passe ou le code n’est pas le bon."}
    assert "Déconnexion" in office.sign_in()


def test_a_code_of_the_telephone_works_once(office, portal, make_office):
    office.enrol(office.invite())
    other = make_office()
    other.secrets = office.secrets
    assert other.sign_in().status_int == 422  # The code of the enrolment itself.
    portal.clock.pass_time(seconds=30)
    used = other.code()
    assert other.sign_in().status_int == 200
    third = make_office()
    assert third.sign_in(code=used).status_int == 422
    portal.clock.pass_time(seconds=30)
    assert third.sign_in(code=office.code()).status_int == 200


def test_a_recovery_code_stands_in_once(office):
    page = office.enrol(office.invite())
    spare = re.search(r"<li>(\w{4}-\w{4}-\w{4})</li>", page.text)[1]
    office.app.reset()
    assert "Déconnexion" in office.sign_in(code=spare.lower().replace("-", " "))
    office.app.reset()
    assert office.sign_in(code=spare).status_int == 422


def test_a_code_is_read_however_a_keyboard_wrote_it(office, portal):
    office.enrol(office.invite())
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    for write in (lambda code: code.translate(wide), "\u2013".join):
        office.app.reset()
        portal.clock.pass_time(minutes=2)
        assert "Déconnexion" in office.sign_in(code=write(office.code()))
    office.app.reset()
    for odd in ("é", "١٢٣٤٥٦", "12345٦", "🙂", "\u200b", "²²²²²²"):
        assert office.sign_in(code=odd).status_int == 422, odd


def test_an_invitation_refuses_a_code_of_other_letters(office):
    page = office.get(office.invite())
    for odd in ("é", "１２３", "١٢٣٤٥٦"):
        assert office.fill(page, password=PASSWORD, again=PASSWORD, code=odd).status_int == 422


def test_guessing_is_slowed(office):
    office.enrol(office.invite())
    office.app.reset()
    office.app.cookies.clear()  # Else it is a browser that is known.
    assert [office.sign_in(code="000000").status_int for _ in range(21)][-2:] == [422, 429]


def test_what_was_asked_for_comes_after_signing_in(office, portal):
    office.enrol(office.invite())
    office.app.reset()
    portal.clock.pass_time(minutes=1)
    page = office.get("/regie/mon-acces").follow()
    answer = office.fill(
        page, email="regie@valmont.fr", password=PASSWORD, code=office.code()
    )
    assert office.path_of(answer) == "/regie/mon-acces"


def test_sessions_end_when_idle_and_by_the_button(office, portal):
    office.enter()
    assert office.get().status_int == 200
    token = office.app.cookies["preau_agent"]
    page = office.get()
    next(f for f in page.forms.values() if "deconnexion" in f.action).submit()
    office.app.set_cookie("preau_agent", token)
    assert office.get().status_int == 303
    office.enter(email="b@valmont.fr")
    portal.clock.pass_time(minutes=31)
    assert office.get().status_int == 303


def test_other_sessions_can_be_ended(office, portal, make_office):
    office.enrol(office.invite())
    portal.clock.pass_time(minutes=1)
    other = make_office()
    other.secrets = office.secrets
    other.sign_in()
    assert other.get().status_int == 200
    office.press(office.get("/regie/mon-acces"), "sessions")
    assert other.get().status_int == 303
    assert office.get().status_int == 200


def test_ones_password_is_changed_by_who_knows_it(office, portal):
    office.enrol(office.invite())
    page = office.get("/regie/mon-acces")
    new = "une autre phrase tout aussi longue"
    assert office.press(page, "password", current="?", password=new, again=new).status_int == 422
    assert "Le mot de passe est changé" in office.press(
        page, "password", current=PASSWORD, password=new, again=new
    )
    office.app.reset()
    portal.clock.pass_time(minutes=1)
    assert "Déconnexion" in office.sign_in(password=new)


def test_new_recovery_codes_replace_the_old(office):
    first = re.search(r"<li>(\w{4}-\w{4}-\w{4})</li>", office.enrol(office.invite()).text)[1]
    page = office.press(office.get("/regie/mon-acces"), "codes", **{"codes-current": PASSWORD})
    assert "Vos codes de secours" in page
    office.app.reset()
    assert office.sign_in(code=first).status_int == 422


def test_the_regisseur_invites_by_mail(office, portal):
    office.enter()
    page = office.get("/regie/agents")
    page = office.fill(page, name="Sacha", email="sacha@valmont.fr", role=Role.AGENT)
    assert "Invité" in page
    assert "déjà celle d’un agent" in office.fill(
        page, name="Sacha", email="SACHA@valmont.fr", role=Role.AGENT
    )
    with portal.town() as town:
        number = town.session.execute(text("SELECT max(id) FROM message")).scalar_one()
        message = town.letters.render(town.session.get(MessageRow, ("valmont", number)))
    assert "espace régie" in message.subject
    invited = message.links[0].url.removeprefix("http://localhost/valmont")
    office.app.reset()
    assert "Vos codes de secours" in office.enrol(invited)


def test_resetting_ends_what_was(office, portal, make_office):
    sacha = make_office()
    sacha.enrol(sacha.invite("sacha@valmont.fr", Role.AGENT, "Sacha"))
    office.enter()
    page = office.get("/regie/agents").click("Sacha")
    assert "1 session ouverte" in page
    office.press(page, "reset")
    assert sacha.get().status_int == 303
    portal.clock.pass_time(minutes=1)
    assert sacha.sign_in("sacha@valmont.fr").status_int == 422


def test_shutting_out_is_at_once(office, make_office):
    sacha = make_office().enter(Role.AGENT)
    office.enter()
    office.press(office.get("/regie/agents").click("Claude agent"), "disable")
    assert sacha.get().status_int == 303


def test_a_regisseur_stays(office):
    office.enter()
    page = office.get("/regie/agents").click(href=r"agents/\d+")
    assert "Il faut garder un régisseur" in office.press(page, "disable")
    assert "Il faut garder un régisseur" in office.press(page, "change", role=Role.READER)


def test_a_demotion_holds_from_the_next_click(office, make_office):
    office.enter()
    second = make_office().enter(Role.REGISSEUR, "second@valmont.fr")
    page = office.get("/regie/agents")
    page = office.get(next(a["href"] for a in page.html.select("table a") if "second" in a.find_parent("tr").text).removeprefix("/valmont"))
    office.press(page, "change", role=Role.READER)
    assert second.get("/regie/agents", expect_errors=True).status_int == 403
    assert second.get().status_int == 200


def test_what_agents_did_is_written_with_their_name(office, portal):
    office.enrol(office.invite())
    with portal.town() as town:
        rows = town.session.execute(text("SELECT actor, action FROM audit_entry ORDER BY id")).all()
        agent = town.agents.by_email("regie@valmont.fr")
    assert (f"agent:{agent.id}", "agent.enrolled") in [tuple(row) for row in rows]


def test_no_secret_lies_in_the_database(office, owner):
    page = office.enrol(office.invite())
    spare = re.search(r"<li>(\w{4}-\w{4}-\w{4})</li>", page.text)[1].replace("-", "")
    with office.portal.town() as town:
        dump = str(town.session.execute(text("SELECT to_jsonb(agent) FROM agent")).all())
        dump += str(town.session.execute(text("SELECT to_jsonb(r) FROM agent_recovery_code r")).all())
    assert office.secrets["regie@valmont.fr"] not in dump
    assert spare not in dump


def test_an_agent_is_limited_to_a_regie(office, portal):
    """At the invitation, later, and back to the whole town; not the last régisseur of it."""
    chief = office.enter()
    page = chief.get("/regie/agents")
    form = chief.form(page, "email")
    form["name"], form["email"] = "Dominique", "d@valmont.fr"
    form.set("regies", True, index=1)
    page = chief.follow(form.submit())
    assert "GARDERIE" in page.html.find("table").text
    page = page.click("Dominique")
    form = chief.form(page, "regies")
    assert [box.checked for box in form.fields["regies"]] == [False, True, False]
    form.set("regies", False, index=1)
    chief.follow(form.submit("action", value="change"))
    with portal.town() as town:
        assert town.agents.by_email("d@valmont.fr").only_regies == []
        claude = town.agents.by_email("regisseur@valmont.fr")
    form = chief.form(chief.get(f"/regie/agents/{claude.id}"), "regies")
    form.set("regies", True, index=0)
    answer = form.submit("action", value="change", expect_errors=True)
    assert answer.status_int == 422
    assert "régisseur de toute la commune" in answer


def test_a_regie_of_nowhere_is_refused(office, portal):
    chief = office.enter()
    page = chief.get("/regie/agents")
    values = [("csrf_token", chief.form(page, "email")["csrf_token"].value), ("name", "D"),
              ("email", "d@valmont.fr"), ("role", "agent"), ("regies", "NOWHERE")]  # fmt: skip
    answer = chief.app.post("/valmont/regie/agents", values, expect_errors=True)
    assert answer.status_int == 422
    assert "Cette régie n’est pas de la commune" in answer
    with portal.town() as town:
        assert town.agents.by_email("d@valmont.fr") is None
