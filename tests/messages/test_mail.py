"""Mails over real SMTP: what parents get, and what happens when a mailbox does not want it."""

from __future__ import annotations

import smtplib
from unittest.mock import Mock

import pytest
from sqlalchemy import text

from core.api.invoices import InvoiceKind
from core.testing.portal import Records, make_portal, record

PARENT = "camille@exemple.fr"


@pytest.fixture
def portal(database, redis, tmp_path, mail_server):
    made = make_portal(database, tmp_path / "portal", smtp_port=mail_server.port)
    yield made
    made.runtime.close()


def register(portal, address=PARENT, family="F001"):
    with portal.town() as town:
        found = town.families.by_code(family)
        town.alerts.add(found.id, address)
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
        town.session.execute(text("DELETE FROM message"))


@pytest.fixture
def told(portal, store):
    """A family that has invoice 0 and was written to, so that the next mail is of what comes."""
    portal.publish(record("0"))
    register(portal)
    portal.work()
    store.clear()


def pay(portal, email=PARENT):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        payment = town.attempts.create(
            invoice.family_id, [invoice.id], email=email, language="fr", key="k"
        )
    with portal.town() as town:
        town.attempts.start(payment)
    portal.bank.pay(portal.bank.last, portal.clock)
    with portal.town() as town:
        town.attempts.poll(payment)
    return payment


@pytest.mark.usefixtures("told")
def test_new_invoices(portal, store):
    portal.publish(record("1"), record("2", label="GARDERIE <b>"))
    portal.work()
    (mail,) = store.mails(PARENT)
    assert mail.header("Subject") == "Valmont – 2 factures sont disponibles"
    assert "Valmont" in mail.header("From")
    assert mail.header("Reply-To") == "regie@valmont.test"
    assert "CANTINE février" in mail.text
    assert "56,87" in mail.text
    assert "GARDERIE <b>" in mail.text
    assert "GARDERIE &lt;b&gt;" in mail.html
    assert mail.unsubscribe.startswith("http://localhost/valmont/alertes/desabonner/")
    assert "DURAND" not in mail.header("Subject")


def credit_note(number, **changes):
    return record(
        number, amount=-1000, kind=InvoiceKind.CREDIT_NOTE, label="AVOIR cantine", lines=(), **changes
    )  # fmt: skip


@pytest.mark.usefixtures("told")
def test_a_credit_note_asks_for_nothing(portal, store):
    portal.publish(credit_note("A", origin_number="0"))
    portal.work()
    (mail,) = store.mails(PARENT)
    assert mail.header("Subject") == "Valmont – Un avoir est disponible"
    assert "AVOIR cantine" in mail.text
    assert "−10,00" in mail.text
    assert "à régler" not in mail.text


@pytest.mark.usefixtures("told")
def test_invoices_and_credit_notes_come_in_one_mail(portal, store):
    portal.publish(record("1"), credit_note("A", origin_number="1"))
    portal.work()
    (mail,) = store.mails(PARENT)
    assert mail.header("Subject") == "Valmont – Une facture est disponible"
    assert "46,87" in mail.text
    assert "Un avoir vous attend" in mail.text
    assert "\n\n\n" not in mail.text


def test_a_mailbox_finds_the_way_out_whole(portal, store, tmp_path):
    """RFC 2369: a program reads the address between < and >, which folding would cut or encode."""
    portal.publish(record("0"))
    register(portal)
    portal.work()
    (mail,) = store.mails(PARENT)
    (raw,) = (file.read_bytes() for file in tmp_path.rglob(f"{mail.key}*"))
    (line,) = [line for line in raw.splitlines() if line.startswith(b"List-Unsubscribe:")]
    assert line == b"List-Unsubscribe: <" + mail.unsubscribe.encode() + b">"
    assert len(line) > 78
    assert max(map(len, raw.splitlines())) < 998


def test_a_payment_with_its_receipt(portal, store):
    portal.publish(record("1"))
    payment = pay(portal)
    portal.work()
    (mail,) = store.mails(PARENT)
    assert mail.header("Subject") == "Valmont – Votre paiement est enregistré"
    assert "A1B2C3" in mail.text
    (receipt,) = mail.attachments
    assert receipt.content.startswith(b"%PDF")
    with portal.town() as town:
        assert receipt.content == town.payments.receipt(payment).content


def test_a_family_is_written_to_in_its_language(portal, store):
    portal.publish(record("1"))
    register(portal)
    with portal.town() as town:
        town.families.set_language(town.families.by_code("F001").id, "en")
    portal.work()
    mail = store.mails(PARENT)[-1]
    assert mail.header("Subject") == "Valmont – One invoice is available"


def test_a_mail_that_is_sent_twice_has_one_number(portal, store):
    portal.publish(record("1"))
    pay(portal)
    portal.work()
    with portal.town() as town:
        town.session.execute(text("UPDATE message SET state = 'queued'"))
        number = town.session.execute(text("SELECT id FROM message")).scalar_one()
        town.notifications.send(number)
        town.notifications.send(number)  # Sent already: nothing happens.
    first, second = store.mails(PARENT)
    assert first.header("Message-ID") == second.header("Message-ID")


def test_a_mailbox_that_is_busy_gets_it_later(portal, store):
    portal.publish(record("1"))
    pay(portal, email="plus-tard@exemple.fr")
    portal.work()
    (row,) = [row for row in portal.outbox() if row.topic == "message.send"]
    assert (row.state, row.attempts) == ("ready", 1)
    assert "451" in row.last_error


def test_a_mailbox_that_refuses_shows_on_the_familys_file(portal, store):
    portal.publish(record("0"))
    register(portal, "refuse@exemple.fr")
    portal.work()
    with portal.town() as town:
        family = town.families.by_code("F001")
        (address,) = town.alerts.addresses(family.id)
        assert "550" in address.refusal
        assert town.families.emails(family.id) == []
        assert town.notifications.of_family(family.id)[0].state == "refused"


def test_a_mail_server_that_hangs_up_loses_nothing(portal, store):
    portal.publish(record("1"))
    away = smtplib.SMTPServerDisconnected("gone")
    pay(portal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smtplib.SMTP, "send", Mock(side_effect=away))
        portal.work()
    assert store.mails(PARENT) == []
    portal.clock.pass_time(hours=1)
    portal.work()
    assert len(store.mails(PARENT)) == 1


@pytest.mark.usefixtures("told")
def test_what_a_credit_note_covers_whole_is_not_asked_for(portal, store):
    portal.publish(record("1", amount=1000), credit_note("A", origin_number="1"))
    portal.work()
    (mail,) = store.mails(PARENT)
    assert mail.header("Subject") == "Valmont – Un avoir est disponible"
    assert "0,00" not in mail.text.replace("−10,00", "")
    assert "/factures/payees" in mail.text


@pytest.mark.usefixtures("told")
def test_of_a_batch_that_was_taken_back_nothing_is_told(portal, store):
    with portal.town() as town:
        batch = town.imports.run(Records(record("1")), portal.file()).batch_id
        town.imports.publish(batch)
    with portal.town() as town:
        town.imports.undo(batch)
    portal.work()
    assert not store.mails(PARENT)


@pytest.mark.usefixtures("told")
def test_what_was_paid_meanwhile_is_told_all_the_same(portal, store):
    """Else a mail that left before a worker died would be noted as one that did not."""
    portal.publish(record("1"))
    pay(portal, email="")
    portal.work()
    assert "Valmont – Une facture est disponible" in [m.header("Subject") for m in store.mails(PARENT)]
