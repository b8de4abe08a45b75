"""What the bot answers, as a parent sees it: actions from updates, no network."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.telegram_bot.book import FAMILIES_PER_CHAT, Book
from plugins.telegram_bot.conversation import Conversation, own_skills
from plugins.telegram_bot.events import Incoming, Kind, Leave, Notice, SendFile, Show, read_update
from plugins.telegram_bot.screens import said
from plugins.telegram_bot.skills import Skill, tap
from plugins.telegram_bot.understanding import Intent

CHAT = 1001


class Chat:
    """One chat's side of the conversation with a town's bot."""

    def __init__(self, town, chat_id=CHAT, language="fr", skills=None):
        self.town = town
        self.skills = skills
        self.id = chat_id
        self.language = language
        self.count = 0

    def _send(self, kind, text="", message_id=0):
        self.count += 1
        query = f"q{self.count}" if kind is Kind.TAPPED else ""
        incoming = Incoming(
            f"4242:{self.id}-{self.count}", kind, self.id, text, "Camille", self.language,
            message_id, query,
        )  # fmt: skip
        actions = Conversation(self.town, incoming, self.skills).actions()
        self.town.session.commit()
        return actions

    def types(self, text):
        return self._send(Kind.TYPED, text)

    def taps(self, data, message_id=7):
        return self._send(Kind.TAPPED, data, message_id)

    def blocks(self):
        return self._send(Kind.BLOCKED)

    def link(self, family):
        token = Book(self.town).new_token(family.id)
        asked = screen(self.types(f"/start {token}"))
        self.taps(data_of(asked, "Oui"))
        return self


def screen(actions):
    return next(action.screen for action in actions if isinstance(action, Show))


def buttons(shown):
    return [button for row in shown.rows for button in row]


def data_of(shown, label):
    return next(button.data for button in buttons(shown) if label in button.label)


@pytest.fixture
def family(town):
    return town.add_family("Durand")


@pytest.fixture
def chat(town, family):
    return Chat(town).link(family)


# --- linking -----------------------------------------------------------------------------------


def test_a_stranger_gets_a_button_to_the_portal_and_nothing_else(town, family):
    town.add_invoice(family, "Cantine mars", 5687)
    for words in ("/factures", "payer cantine", "n’importe quoi", "/start", "/payees"):
        shown = screen(Chat(town, 555).types(words))
        assert [button.url for button in buttons(shown)] == [
            "https://ville.example.org/+telegram_bot/"
        ]
        assert "Durand" not in shown.html
        assert "56,87" not in shown.html


def test_a_chat_is_linked_by_a_deep_link_and_a_confirmation(town, family):
    chat = Chat(town)
    shown = screen(chat.types(f"/start {Book(town).new_token(family.id)}"))
    assert "Durand" in shown.html
    assert not Book(town).links_of_chat(CHAT), "nothing is linked before it is confirmed"
    notice, replaced = chat.taps(data_of(shown, "Oui"), message_id=3)
    assert isinstance(notice, Notice)
    assert replaced.edit == 3
    (link,) = Book(town).links_of_chat(CHAT)
    assert (link.family_id, link.name, link.language) == (family.id, "Camille", "fr")


def test_a_deep_link_serves_once(town, family):
    token = Book(town).new_token(family.id)
    first, second = Chat(town), Chat(town, 1002)
    asked = screen(first.types(f"/start {token}"))
    assert "plus valable" in screen(second.types(f"/start {token}")).html
    first.taps(data_of(asked, "Oui"))
    assert "plus valable" in screen(second.types(f"/start {token}")).html
    assert not Book(town).links_of_chat(1002)


def test_a_deep_link_lives_ten_minutes(town, family):
    chat = Chat(town)
    token = Book(town).new_token(family.id)
    asked = screen(chat.types(f"/start {token}"))
    town.clock.advance(minutes=10)
    assert "plus valable" in screen(chat.types(f"/start {token}")).html
    assert "plus valable" in screen(chat.taps(data_of(asked, "Oui"))).html
    assert not Book(town).links_of_chat(CHAT)


def test_declining_uses_the_link_up(town, family):
    chat = Chat(town)
    token = Book(town).new_token(family.id)
    asked = screen(chat.types(f"/start {token}"))
    chat.taps(data_of(asked, "Non"))
    chat.taps(data_of(asked, "Oui"))
    assert not Book(town).links_of_chat(CHAT)


def test_another_chat_cannot_confirm(town, family):
    asked = screen(Chat(town).types(f"/start {Book(town).new_token(family.id)}"))
    Chat(town, 1002).taps(data_of(asked, "Oui"))
    assert not Book(town).links_of_chat(1002)


def test_only_the_newest_links_of_a_family_stay_open(town, family):
    tokens = [Book(town).new_token(family.id) for _ in range(7)]
    open_ = [token for token in tokens if Book(town).present(token, CHAT)]
    assert open_ == tokens[-5:]


def test_a_tapped_confirmation_may_repeat(chat):
    assert "reliée" in screen(chat.taps("link:1")).html


def test_a_chat_may_see_several_families_and_a_family_have_several_chats(town, chat, family):
    other = town.add_family("Martin")
    chat.link(other)
    town.add_invoice(family, "Cantine", 100)
    town.add_invoice(other, "Garderie", 250)
    shown = screen(chat.types("/factures"))
    assert "Durand" in shown.html
    assert "Martin" in shown.html
    assert "3,50" in shown.html
    Chat(town, 1002).link(family)
    assert [link.chat_id for link in Book(town).links_of_family(family.id)] == [CHAT, 1002]


def test_there_is_an_end_to_links(town):
    chat = Chat(town)
    for number in range(FAMILIES_PER_CHAT + 2):
        chat.link(town.add_family(f"F{number}"))
    assert len(Book(town).links_of_chat(CHAT)) == FAMILIES_PER_CHAT


def test_a_chat_linked_in_one_town_sees_nothing_of_another(make_town):
    here, there = make_town("ici"), make_town("ailleurs")
    family = here.add_family("Durand")
    Chat(here).link(family)
    assert Book(here).links_of_chat(CHAT)
    assert not Book(there).links_of_chat(CHAT)
    token = Book(here).new_token(family.id)
    here.session.commit()
    assert "plus valable" in screen(Chat(there).types(f"/start {token}")).html


def test_logging_out_asks_first(town, chat):
    asked = screen(chat.types("/deconnexion"))
    assert Book(town).links_of_chat(CHAT)
    chat.taps(data_of(asked, "Oui"))
    assert not Book(town).links_of_chat(CHAT)
    assert "aucun dossier" in screen(chat.types("/factures")).html


def test_blocking_unlinks(town, chat):
    assert chat.blocks() == []
    assert not Book(town).links_of_chat(CHAT)


def test_groups_are_refused(town, family):
    incoming = Incoming("k", Kind.GROUP, -5, "/factures")
    first, second = Conversation(town, incoming).actions()
    assert "tête-à-tête" in first.screen.html
    assert second == Leave()


# --- invoices ----------------------------------------------------------------------------------


def test_unpaid_invoices_come_with_a_total_and_links_to_pay(town, chat, family):
    first = town.add_invoice(family, "Cantine mars", 5687)
    second = town.add_invoice(family, "Garderie <mars>", 2000)
    shown = screen(chat.types("mes factures"))
    assert "76,87" in shown.html
    assert "Garderie &lt;mars&gt;" in shown.html
    urls = [button.url for button in buttons(shown) if button.url]
    assert urls == [f"https://ville.example.org/p/{number}" for number in (1, 2, 3)]
    one, two, both = (first.id, family.id), (second.id, family.id), (first.id, second.id, family.id)
    assert town.invoices.links == [one, two, both]
    assert shown.invoice_ids == (first.id, second.id)


def test_words_choose_the_invoice(town, chat, family):
    town.add_invoice(family, "Garderie mars", 2000)
    canteen = town.add_invoice(family, "Cantine mars", 5687)
    assert screen(chat.types("payer cantine")).invoice_ids == (canteen.id,)
    everything = screen(chat.types("payer piscine"))
    assert len(everything.invoice_ids) == 2
    assert "ne correspond" in everything.html


def test_what_cannot_be_paid_online_has_no_link(town, chat, family):
    town.add_invoice(family, "Crèche", 900, payable=False)
    shown = screen(chat.types("/factures"))
    assert "pas payable en ligne" in shown.html
    assert not [button for button in buttons(shown) if button.url]


def test_nothing_to_pay(chat):
    assert "rien à payer" in screen(chat.types("/factures")).html


def test_many_invoices_fit_in_a_message(town, chat, family):
    for number in range(40):
        town.add_invoice(family, f"Cantine {'très longue ' * 20}{number}", 100)
    shown = screen(chat.types("/factures"))
    assert "40,00" in shown.html
    assert len(shown.html) < 4096
    assert all(0 < len(button.label) <= 64 for button in buttons(shown))


def test_the_pdf_of_an_invoice_comes_as_a_document(town, chat, family):
    invoice = town.add_invoice(family, "Cantine mars", 5687)
    notice, sent = chat.taps(f"doc:{invoice.id}")
    assert isinstance(notice, Notice)
    assert sent.document.content == b"%PDF facture"
    (typed,) = chat.types("pdf de la cantine")
    assert isinstance(typed, SendFile)


def test_paying_from_an_alert_gives_fresh_links_in_its_place(town, chat, family):
    invoice = town.add_invoice(family, "Cantine mars", 5687)
    Book(town).remember(CHAT, 7, [invoice.id])
    actions = chat.taps(f"pay:{invoice.id}", message_id=7)
    shown = next(action for action in actions if isinstance(action, Show))
    assert shown.edit == 7
    assert any(button.url for button in buttons(shown.screen))


def test_numbers_of_others_find_nothing(town, chat, family):
    stranger = town.add_family("Autre")
    invoice = town.add_invoice(stranger, "Secret", 4242)
    payment = town.pay(invoice)
    Book(town).remember(CHAT, 7, [invoice.id])
    for data in (f"doc:{invoice.id}", f"pay:{invoice.id}", f"rec:{payment.id}"):
        actions = chat.taps(data)
        assert not [action for action in actions if isinstance(action, SendFile)]
        assert "Secret" not in repr(actions)
    assert town.invoices.links == []


# --- payments ----------------------------------------------------------------------------------


def test_payments_and_their_receipts(town, chat, family):
    payment = town.pay(town.add_invoice(family, "Cantine mars", 5687))
    shown = screen(chat.types("/payees"))
    assert "56,87" in shown.html
    assert "Cantine mars" in shown.html
    _, sent = chat.taps(data_of(shown, "Reçu"))
    assert sent.document.name == f"recu-{payment.id}.pdf"


def test_a_receipt_is_found_by_its_month(town, chat, family):
    november = datetime(2025, 11, 30, 23, 30, tzinfo=UTC)
    by_label = town.pay(town.add_invoice(family, "Cantine novembre", 100))
    town.pay(town.add_invoice(family, "Garderie", 200, issued_on=november.date()), november)
    town.pay(town.add_invoice(family, "Garderie mars", 300))
    shown = screen(chat.types("reçu de novembre"))
    # 23:30 UTC on 30 November is December in France, but that invoice is November's.
    assert len(re.findall("✓", shown.html)) == 2
    (sent,) = chat.types("reçu de la cantine")
    assert sent.document.name == f"recu-{by_label.id}.pdf"
    (newest,) = chat.types("reçu")
    assert isinstance(newest, SendFile)
    assert "Aucun paiement" in screen(chat.types("reçu de juin")).html


# --- settings ----------------------------------------------------------------------------------


def test_alerts_by_command_word_and_button(town, chat):
    def on():
        return Book(town).links_of_chat(CHAT)[0].alerts

    shown = screen(chat.types("/alertes"))
    chat.taps(data_of(shown, "Désactiver"))
    town.session.expire_all()
    assert not on()
    asked = screen(chat.types("alertes oui"))
    town.session.expire_all()
    assert not on(), "words are asked back"
    chat.taps(data_of(asked, "Oui"))
    town.session.expire_all()
    assert on()
    chat.types("/alertes off")
    town.session.expire_all()
    assert not on(), "a command is clear enough"


def test_the_language_is_the_familys_until_it_is_changed(town):
    chat = Chat(town).link(town.add_family("Smith", language="en"))
    town.session.expire_all()
    assert Book(town).links_of_chat(CHAT)[0].language == "en"
    chat.types("/langue fr")
    town.session.expire_all()
    assert Book(town).links_of_chat(CHAT)[0].language == "fr"


def test_what_is_not_understood_gets_help(chat):
    shown = screen(chat.types("blabla blabli blablo blablu"))
    assert "pas compris" in shown.html
    assert "/factures" in shown.html


# --- whatever comes ----------------------------------------------------------------------------

_UPDATES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["update_id", "message", "chat", "id", "type", "from", "text", "data",
                         "callback_query", "my_chat_member", "message_id", "new_chat_member"]),
        inner, max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@given(_UPDATES)
def test_no_update_is_trusted(raw):
    incoming = read_update("4242", raw)
    assert incoming is None or -(2**63) <= incoming.chat_id < 2**63


@pytest.mark.parametrize(
    "update",
    [
        {"message": {"message_id": 1, "chat": {"id": "5", "type": "private"}, "text": "x",
                     "from": {}}},
        {"message": {"message_id": 1, "chat": {"id": 5, "type": "private"}, "text": ["x"],
                     "from": {}}},
        {"message": {"message_id": 1, "chat": {"id": 2**70, "type": "private"}, "from": {}}},
        {"message": {"message_id": 1, "chat": {"id": 5, "type": "private"},
                     "from": {"is_bot": True}}},
        {"edited_message": {"message_id": 1, "chat": {"id": 5, "type": "private"}, "from": {}}},
        {"callback_query": {"id": "x" * 99, "from": {}, "data": "list"}},
        {"channel_post": {}},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_dropped(update):
    assert read_update("4242", {"update_id": 1} | update) is None


def test_pictures_and_stickers_get_help_not_silence():
    raw = {"update_id": 1, "message": {"message_id": 1, "chat": {"id": 5, "type": "private"},
                                       "from": {"first_name": "A"}, "photo": [{}]}}  # fmt: skip
    assert read_update("4242", raw).text == ""


def test_turns_are_spread_at_telegrams_pace(town):
    book = Book(town)
    turns = [book.turn(chat) for chat in range(100, 150)]
    assert turns[-1] - turns[0] >= timedelta(seconds=49 / 30)
    again = book.turn(100)
    assert again - turns[0] >= timedelta(seconds=1)
    assert book.turn(999, answer=True) == town.clock.now(), "answers do not queue behind a mailing"


def test_a_turn_far_away_is_kept_not_taken(town):
    book, patience = Book(town), timedelta(seconds=2)
    for number in range(100):
        book.claim_turn(f"k{number}", number + 1, patience)
    wait = book.claim_turn("late", 500, patience)
    assert wait > patience
    town.clock.advance(seconds=wait.total_seconds())
    assert book.claim_turn("late", 500, patience) == timedelta()
    assert book.claim_turn("late", 500, patience) is None, "handed over once"


def test_a_hold_is_obeyed_and_what_waited_is_spread_again(town):
    book, patience = Book(town), timedelta(seconds=2)
    for number in range(60):
        book.claim_turn(f"k{number}", number + 1, patience)
    book.hold(1, timedelta(seconds=30))
    town.clock.advance(seconds=3)
    assert book.held(1)
    assert book.claim_turn("k59", 60, patience) >= timedelta(seconds=27)


def test_a_hold_stops_answers_in_every_chat(town):
    book = Book(town)
    book.hold(1, timedelta(seconds=30))
    assert book.claim_turn("k", 2, timedelta(seconds=2), answer=True) >= timedelta(seconds=29)
    town.clock.advance(seconds=31)
    assert book.claim_turn("k", 2, timedelta(seconds=2), answer=True) == timedelta()


def test_what_a_direct_debit_takes_is_nothing_to_pay(make_town):
    town = make_town()
    family = town.add_family("Debit")
    chat = Chat(town).link(family)
    town.add_invoice(
        family, "Cantine prélevée", 2000, payable=False, debited_on=date(2026, 12, 20)
    )
    shown = screen(chat.types("mes factures"))
    assert "prélevée le 20/12/2026, rien à faire" in shown.html
    assert "à payer" not in shown.html
    assert "pas payable" not in shown.html
    assert not [button for button in buttons(shown) if "Payer" in button.label]


# --- other plugins' skills -----------------------------------------------------------------------


@pytest.fixture
def meals(town):
    """A plugin's skill: it is asked in words, and acts on its own button."""
    cancelled = []

    def ask(conversation, meaning):
        (family_id,) = conversation.families
        button = tap("Oui, annuler", "meals.cancel", f"{family_id}")
        return [Show(said(f"Annuler le repas du {meaning.days[0]:%d/%m} ?", (button,)))]

    def cancel(conversation, argument):
        if int(argument) in conversation.families:
            cancelled.append(int(argument))
        return conversation.replace(said("C’est noté."))

    intent = Intent("meals.cancel", 1, (r"annul\w* (?:\w+ ){0,3}repas",))
    skills = own_skills().joined_by([Skill("meals.cancel", ask, (intent,), cancel)])
    return skills, cancelled


def test_another_plugins_skill_answers_and_acts_by_its_button_only(town, family, meals):
    skills, cancelled = meals
    chat = Chat(town, skills=skills).link(family)
    shown = screen(chat.types("il faudrait annuler le repas du 12/03 svp"))
    assert "12/03" in shown.html
    assert cancelled == [], "words change nothing"
    notice, done = chat.taps(data_of(shown, "Oui"))
    assert isinstance(notice, Notice)
    assert "noté" in done.screen.html
    assert cancelled == [family.id]


def test_a_town_without_the_plugin_knows_neither_its_words_nor_its_buttons(town, family, meals):
    _, cancelled = meals
    chat = Chat(town).link(family)
    assert "Prévenez la mairie" in screen(chat.types("annuler le repas du 12/03")).html
    (notice,) = chat.taps(f"do:meals.cancel:{family.id}")
    assert "ne sert plus" in notice.text
    assert cancelled == []


def test_the_bots_own_skills_go_on_beside_another_plugins(town, family, meals):
    town.add_invoice(family, "Cantine mars", 5687)
    chat = Chat(town, skills=meals[0]).link(family)
    assert "56,87" in screen(chat.types("mes factures")).html


def test_two_skills_of_one_name_are_refused():
    with pytest.raises(ValueError, match="help"):
        own_skills().joined_by([Skill("help", lambda _c, _m: [])])


def test_a_button_that_telegram_would_not_take_is_refused_when_it_is_made():
    with pytest.raises(ValueError, match="64"):
        tap("Oui", "meals.cancel", "é" * 30)
