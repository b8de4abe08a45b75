"""What a parent reads: states of invoices, totals, papers, and answers to what the bot cannot do."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime

import pytest
from test_conversation import Chat, buttons, data_of, screen
from test_understanding import USED, corpus

from core.plugin import Address, CertificateYear, ContactInfo, Message, RegieInfo
from plugins.telegram_bot import work
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.channel import TelegramChannel
from plugins.telegram_bot.events import SendFile, Show, read_update
from plugins.telegram_bot.inbox import UPDATE, Inbox
from plugins.telegram_bot.models import ChatLink

CHAT = 1001
CONTACT = ContactInfo("01 99 00 12 34", "regie@ville.example", "lundi, de 9 h à 12 h", ("1 place",))


@pytest.fixture
def town(town):
    regies = (RegieInfo("scolaire", "Régie scolaire", True), RegieInfo("creche", "Crèche", True))
    town.town = replace(town.town, contact=CONTACT, regies=regies)
    return town


@pytest.fixture
def family(town):
    return town.add_family("Durand")


@pytest.fixture
def chat(town, family):
    return Chat(town).link(family)


def message(number, chat=CHAT, kind="private", **content):
    return {"update_id": number, "message": {
        "message_id": number, "chat": {"id": chat, "type": kind}, "from": {"first_name": "C"},
        **content,
    }}  # fmt: skip


# --- invoices ------------------------------------------------------------------------------------


def test_an_overdue_invoice_says_so(town, chat, family):
    town.add_invoice(family, "Cantine", 100, due_on=date(2026, 3, 9))
    assert "échue le 09/03/2026" in screen(chat.types("/factures")).html
    town.clock.advance(days=-1)
    assert "à payer avant le 09/03/2026" in screen(chat.types("/factures")).html


def test_an_invoice_that_is_being_paid_has_no_button_to_pay(town, chat, family):
    town.add_invoice(family, "Cantine", 100, under_way=17)
    town.add_invoice(family, "Garderie", 200)
    shown = screen(chat.types("/factures"))
    assert "Paiement en cours" in shown.html
    assert "1 facture à payer\u00a0: 2,00" in shown.html, "what is being paid is no longer asked for"
    assert "en cours de paiement\u00a0: 1,00" in shown.html
    assert shown.html.count("à payer avant") == 1
    assert "https://ville.example.org/paiements/17" in [b.url for b in buttons(shown)]
    assert len([b for b in buttons(shown) if "Payer" in b.label]) == 1
    assert not [b for b in buttons(shown) if b.data == "all"], "one is left to pay"


def test_a_handed_over_invoice_says_who_collects_it(town, chat, family):
    town.add_invoice(family, "Cantine", 100, payable=False, handed_over=True)
    assert "transmise à la trésorerie" in screen(chat.types("/factures")).html


def test_a_debit_that_came_back_is_told_and_paid(town, chat, family):
    town.add_invoice(family, "Cantine", 100, debit_rejected_on=date(2026, 3, 12))
    shown = screen(chat.types("/factures"))
    assert "prélèvement rejeté le 12/03/2026, à payer avant le" in shown.html
    assert "1 facture à payer" in shown.html
    assert [b for b in buttons(shown) if "Payer" in b.label]


def test_all_invoices_of_a_regie_are_paid_together_without_signing_in(town, chat, family):
    one = town.add_invoice(family, "Cantine", 100)
    two = town.add_invoice(family, "Garderie", 250)
    other = town.add_invoice(family, "Crèche", 500, regie="creche")
    third = town.add_invoice(family, "Crèche 2", 500, regie="creche")
    shows = [screen(chat.types(words)) for words in ("/factures", "tout payer")]
    for shown in (*shows, screen(chat.taps("all"))):
        baskets = [b for b in buttons(shown) if "Tout payer" in b.label]
        links = [town.invoices.links[int(b.url.rpartition("/")[2]) - 1] for b in baskets]
        found = [(b.label.partition(" – ")[2], ids) for b, ids in zip(baskets, links, strict=True)]
        assert sorted(found) == [
            ("Crèche", (other.id, third.id, family.id)),
            ("Régie scolaire", (one.id, two.id, family.id)),
        ]
    assert "Tout payer" in buttons(shows[1])[0].label, "what was asked for comes first"


def test_a_message_that_came_by_itself_gives_the_link_for_its_own_invoices(town, chat, family):
    told = [town.add_invoice(family, f"Cantine {number}", 100) for number in (1, 2)]
    town.add_invoice(family, "Garderie", 250)
    Book(town).remember(chat.id, 7, [invoice.id for invoice in told])
    shown = screen(chat.taps("all", message_id=7))
    assert "2,00" in buttons(shown)[0].label
    assert (told[0].id, told[1].id, family.id) in town.invoices.links


def test_where_invoices_are_paid_one_by_one_nothing_offers_them_together(town, chat, family):
    town.payments.one_by_one.add("scolaire")
    town.add_invoice(family, "Cantine", 100)
    town.add_invoice(family, "Garderie", 250)
    shown = screen(chat.types("tout payer"))
    assert "se règlent une par une" in shown.html
    assert not [b for b in buttons(shown) if "Tout payer" in b.label]
    assert len([b for b in buttons(shown) if b.label.startswith("Payer")]) == 2


def test_where_no_provider_takes_a_regie_nothing_offers_to_pay(town, chat, family):
    town.payments.offline.add("scolaire")
    town.add_invoice(family, "Cantine", 100)
    shown = screen(chat.types("payer"))
    assert "pas payable en ligne" in shown.html
    assert not [b for b in buttons(shown) if "ayer" in b.label]


def test_invoices_of_two_families_are_never_paid_together(town, chat, family):
    other = town.add_family("Martin")
    chat.link(other)
    for home in (family, other):
        town.add_invoice(home, "Cantine", 100)
        town.add_invoice(home, "Garderie", 250)
    shown = screen(chat.types("tout payer"))
    labels = [b.label for b in buttons(shown) if "Tout payer" in b.label]
    assert [label.partition(" – ")[2] for label in labels] == ["Durand", "Martin"]


@dataclass
class Part:
    regie: str
    label: str
    child: str
    issued_on: date
    amount: int


def test_what_the_other_home_was_invoiced_stands_apart(town, chat, family):
    town.add_invoice(family, "Cantine mars", 1000)
    words = ("l’autre foyer paye quoi ?", "la part de son papa", "facture de l'autre parent")
    assert "Je ne vois rien" in screen(chat.types(words[0])).html
    town.invoices.parts = [
        Part("scolaire", "Cantine <février>", "MARTIN Léa", date(2026, 3, 1), 2500),
        Part("scolaire", "Cantine janvier", "MARTIN Léa", date(2026, 2, 1), 2200),
    ]
    for typed in words:
        html = screen(chat.types(typed)).html
        assert "autre foyer\u00a0: 47,00" in html
        assert "Cantine &lt;février&gt; – MARTIN Léa – 25,00" in html
        assert "10,00" not in html
    assert "25,00" not in screen(chat.types("/factures")).html


def test_what_the_other_home_owes_has_a_total_of_its_own(town, chat, family, monkeypatch):
    other = town.add_family("Martin")
    mine = town.add_invoice(family, "Cantine", 1000)
    theirs = town.add_invoice(other, "Cantine de l’autre", 700)
    monkeypatch.setattr(town.invoices, "unpaid", lambda _family: [mine, theirs])
    monkeypatch.setattr(town.invoices, "payment_link", lambda i, _family: f"https://a.b/{i}")
    html = screen(chat.types("/factures")).html
    assert "1 facture à payer\u00a0: 10,00" in html
    assert "autre foyer\u00a0: 7,00" in html
    assert "17,00" not in html


# --- papers --------------------------------------------------------------------------------------


def test_the_tax_certificate_comes_as_a_document(town, chat, family):
    for year, final in ((2026, False), (2025, True), (2024, True)):
        town.certificates.known[family.id, year] = CertificateYear(year, 1000, final)
    sent, others = chat.types("attestation fiscale")
    assert sent.document.name == "attestation-2025.pdf", "the newest year that is over"
    assert [b.label for b in buttons(others.screen)] == ["Attestation 2026", "Attestation 2024"]
    _, again = chat.taps("tax:2024")
    assert again.document.name == "attestation-2024.pdf"
    assert isinstance(chat.types("attestation pour les impôts 2024")[0], SendFile)
    assert "Aucune attestation fiscale pour 2019" in screen(chat.types("/attestation 2019")).html
    assert not [a for a in chat.taps("tax:1999") if isinstance(a, SendFile)]


def test_no_certificate_of_a_family_that_is_not_linked(town, chat, family):
    other = town.add_family("Martin")
    town.certificates.known[other.id, 2025] = CertificateYear(2025, 1000, True)
    for actions in (chat.types("attestation fiscale"), chat.taps("tax:2025")):
        assert not [action for action in actions if isinstance(action, SendFile)]


def test_already_paid_shows_the_last_payments_and_no_debt(town, chat, family):
    for number in range(5):
        town.pay(town.add_invoice(family, f"Cantine {number}", 100 + number))
    town.add_invoice(family, "Garderie", 4242, under_way=3)
    town.add_invoice(family, "Musique", 9999)
    html = screen(chat.types("mais j’ai déjà payé !")).html
    assert "Paiement en cours" in html
    assert "Garderie" in html
    assert html.count("✓") == 3
    assert "99,99" not in html
    assert "seconde fois" in html


def test_narrowed_by_amount_date_and_child(town, chat, family):
    canteen = town.add_invoice(family, "Cantine", 5687)
    nursery = town.add_invoice(family, "Garderie", 2000, issued_on=date(2026, 2, 3))
    town.invoices.names[nursery.id] = ["DURAND Anaïs"]
    assert screen(chat.types("56,87")).invoice_ids == (canteen.id,)
    assert screen(chat.types("le mois dernier")).invoice_ids == (nursery.id,)
    assert screen(chat.types("la facture d’Anaïs")).invoice_ids == (nursery.id,)
    assert screen(chat.types("Anaïs")).invoice_ids == (nursery.id,)
    assert len(screen(chat.types("payer tout de suite par carte bleue")).invoice_ids) == 2


def test_a_time_of_which_nothing_is_due_shows_what_was_paid(town, chat, family):
    town.add_invoice(family, "Cantine", 4242)
    paid = town.add_invoice(family, "Cantine juin", 999, issued_on=date(2025, 6, 30))
    town.pay(paid, datetime(2025, 7, 4, 12, 0, tzinfo=UTC))
    for typed in ("2025", "factures de 2025", "juin", "facture de juin", "9,99", "le 4/07/2025"):
        html = screen(chat.types(typed)).html
        assert "Rien à payer n’y correspond" in html, typed
        assert "9,99" in html
        assert "42,42" not in html
    assert "42,42" in screen(chat.types("factures de 2024")).html


# --- what the bot cannot do ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    ["je voudrais un délai", "mon fils est malade", "il y a une erreur", "horaires de la mairie",
     "vous prenez les chèques ?", "j’ai déménagé", "inscrire ma fille", "bande de voleurs",
     "supprimer mon compte", "mot de passe oublié", "remboursez-moi", "une phrase sans aucun sens"],
)  # fmt: skip
def test_the_towns_telephone_mail_and_hours_come_instead_of_debts(town, chat, family, typed):
    town.add_invoice(family, "Cantine", 4242)
    html = screen(chat.types(typed)).html
    for words in (CONTACT.phone, CONTACT.email, CONTACT.hours):
        assert words in html
    assert "42,42" not in html


@pytest.mark.parametrize("typed", ["merci beaucoup", "ok", "bonjour", "👍", "je suis en colère"])
def test_courtesy_lists_no_debt(town, chat, family, typed):
    town.add_invoice(family, "Cantine", 4242)
    assert "42,42" not in screen(chat.types(typed)).html


def test_words_ask_and_buttons_do(town, chat):
    def state():
        town.session.expire_all()
        links = Book(town).links_of_chat(CHAT)
        return [(link.alerts, link.language) for link in links]

    before = state()
    for name in (*USED, "kept_aside.txt"):
        for _, _, text in corpus(name):
            chat.types(text)
    assert state() == before
    asked = screen(chat.types("stop"))
    chat.taps(data_of(asked, "Ne rien changer"))
    assert state() == before
    chat.taps(data_of(screen(chat.types("english please")), "English"))
    assert state() == [(True, "en")]
    chat.taps(data_of(screen(chat.types("please stop sending me messages")), "Yes, turn off"))
    assert state() == [(False, "en")]
    chat.taps(data_of(screen(chat.types("stop")), "Unlink"))
    assert state() == []


def test_a_pasted_link_and_the_token_alone_link_as_the_button_does(town, family):
    for paste in ("https://t.me/ville_bot?start={}", "t.me/ville_bot?start={}", "{}", " {} "):
        chat = Chat(town, 2000 + len(paste))
        asked = screen(chat.types(paste.format(Book(town).new_token(family.id))))
        assert "Relier cette discussion" in asked.html


# --- what is no text ---------------------------------------------------------------------------------


def test_an_album_is_answered_once_and_its_caption_is_read(town, family):
    Chat(town).link(family)
    inbox = Inbox()
    for number in range(1, 11):
        caption = {"caption": "mes factures"} if number == 1 else {}
        album = message(number, photo=[{}], media_group_id="77", **caption)
        inbox.accept(town, town.configured, album)
    (payload,) = town.outbox.take(UPDATE)
    assert payload["text"] == "mes factures"


def test_a_picture_alone_is_told_what_can_be_read(town, chat):
    (shown,) = chat.types("")
    assert "messages écrits" in shown.screen.html


@pytest.mark.parametrize(
    "content",
    [{"pinned_message": {}}, {"message_auto_delete_timer_changed": {}}, {"new_chat_photo": []}, {},
     {"write_access_allowed": {}}, {"chat_background_set": {}}],
)  # fmt: skip
def test_telegrams_own_notices_are_not_answered(content):
    assert read_update("1", message(1, **content)) is None


def test_a_group_where_nothing_may_be_written_is_left_quietly(simulator, live):
    from plugins.telegram_bot.simulator.world import Fault

    town, courier = live
    world = simulator.world
    world.faults += [
        Fault("sendMessage", 400, "Bad Request: not enough rights to send text messages"),
        Fault("leaveChat", 403, "Forbidden: bot is not a member of the group chat"),
    ]
    payload = asdict(read_update("4242", message(5, chat=-77, kind="group", text="x")))
    work.answer(town, courier, payload)
    assert [name for _, name, _ in world.calls[-2:]] == ["sendMessage", "leaveChat"]


def test_an_alert_speaks_one_language(live, simulator):
    town, courier = live
    family = town.add_family("Smith")
    invoice = town.add_invoice(family, "Cantine", 100)
    bot, person = simulator.world.bots["4242:test-token_of-the-town"], simulator.world.people[CHAT]
    simulator.world.types(bot, person, "/start")
    Book(town).link(CHAT, family.id, name="", language="en")
    town.session.commit()
    alert = Message("invoices_published", "fr", "Ville – Nouvelle facture", "Bonjour",
                    invoice_ids=(invoice.id,))  # fmt: skip
    TelegramChannel(town, courier).deliver(alert, Address(str(CHAT), family.id), "k")
    said = simulator.world.chat(bot, CHAT).messages[-1]["text"]
    assert "New invoice online" in said
    assert "Nouvelle" not in said


def test_a_bare_start_and_strangers_are_shown_the_line_to_copy(town):
    shown = screen(Chat(town, 555).types("/start"))
    assert "/start …" in shown.html
    assert not [a for a in Chat(town, 556).types("merci") if not isinstance(a, Show)]
    assert town.session.query(ChatLink).filter_by(tenant_id=town.town.slug).count() == 0
