"""Replies of mail servers: whose doing a refusal is.

Decided by the stage of the dialogue (RFC 5321), the enhanced status code (RFC 3463 and its
registry) and, where servers use one code for several things, the words. The mailbox of a family
refuses only if a reply speaks of it: everything else is trouble of the relay or of the
installation, which passes or which an operator ends. docs/operating.md shows the table.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

MAX_WORDS_CHARS = 300
"""Characters kept of what a server said."""


class Stage(StrEnum):
    """The command that a reply answers."""

    CONNECT = "connection"
    """Greeting, EHLO and STARTTLS."""
    AUTH = "AUTH"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    REPORT = "report"
    """None: a mail that came back tells it (RFC 3464)."""


class Cause(StrEnum):
    """Cause for which a mail was not taken."""

    RECIPIENT = "recipient"
    """The mailbox or its domain: it does not exist, is closed, or takes no mail."""
    FULL = "full"
    """The mailbox has no room left: it exists, and may have room tomorrow."""
    LATER = "later"
    """It passes by itself: a busy server, a first contact that has to wait."""
    SERVER = "server"
    """The relay is away, or does not want the portal as its client."""
    SIGN_IN = "sign_in"
    """The relay wants a name and a password, or others."""
    SENDER = "sender"
    """The relay does not take the sender's address, or its domain does not vouch for the relay."""
    QUOTA = "quota"
    """The relay has taken as many mails as it takes in a while."""
    POLICY = "policy"
    """A block list, a filter, a rule of a server."""
    CONTENT = "content"
    """The mail itself: too large, or not well-formed."""
    UNSAID = "unsaid"
    """A recipient was refused, without a word of whom or what is in the way."""

    @property
    def is_ours(self) -> bool:
        """True if an operator has to hear of the cause: nothing about the recipient is wrong."""
        return self not in {Cause.RECIPIENT, Cause.FULL, Cause.LATER}


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer of a server. `code` is 0 where the server answered nothing."""

    stage: Stage
    code: int = 0
    words: str = ""

    def __str__(self) -> str:
        """One line, which `parse` reads again."""
        words = " ".join(self.words.split())[:MAX_WORDS_CHARS]
        return f"{self.stage}: {f'{self.code} {words}' if self.code else words}"

    @property
    def cause(self) -> Cause:
        """Cause of the refusal that the reply tells."""
        return judge(self)


_LINE = re.compile(rf"({'|'.join(map(str, Stage))}): (?:([2-5][0-9]{{2}})(?: |$))?(.*)", re.DOTALL)


def parse(line: str) -> Reply | None:
    """Read a reply that was written down as one line; None when it is none."""
    found = _LINE.fullmatch(line)
    return Reply(Stage(found[1]), int(found[2] or 0), found[3]) if found else None


_CODE = re.compile(r"(?:^|[;\s\[(])([45][0-9]{2})(?=[ -])")


def report(reason: str) -> Reply:
    """Read what a mail that came back tells: the status, and the other server's own words."""
    code = _CODE.search(reason)
    return Reply(Stage.REPORT, int(code[1]) if code else 0, reason)


_STATUS = re.compile(r"(?<![\w.])([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![\w.])")
_NAMES = re.compile(r"https?://\S+|www\.\S+|\S+@\S+")
"""Links and addresses: "spam" or "sender" in them says nothing."""

_EXACT: dict[tuple[int, int], Cause] = {
    (1, 1): Cause.RECIPIENT,  # No such mailbox.
    (1, 2): Cause.RECIPIENT,  # No such domain.
    (1, 3): Cause.RECIPIENT,  # Not the form of an address.
    (1, 4): Cause.RECIPIENT,  # Ambiguous.
    (1, 6): Cause.RECIPIENT,  # Moved away.
    (1, 7): Cause.SENDER,
    (1, 8): Cause.SENDER,
    (1, 10): Cause.RECIPIENT,  # Its domain takes no mail (RFC 7505); unknown (Exchange Online).
    (2, 1): Cause.RECIPIENT,  # Disabled.
    (2, 2): Cause.FULL,
    (2, 3): Cause.CONTENT,  # Too large for this mailbox.
    (2, 4): Cause.RECIPIENT,  # A list that has no members.
    (3, 4): Cause.CONTENT,  # Too large for this server.
    (4, 4): Cause.RECIPIENT,  # Its domain has no mail server (Postfix, of a name not in the DNS).
    (4, 5): Cause.QUOTA,  # The sending limit of Google.
    (4, 7): Cause.LATER,  # Tried for days.
    (4, 300): Cause.LATER,  # The same, in Exchange Online's words; so the next.
    (4, 310): Cause.RECIPIENT,  # Its domain is not in the DNS (Exchange Online).
    (4, 316): Cause.LATER,
    (4, 317): Cause.LATER,
    (7, 8): Cause.SIGN_IN,
    (7, 9): Cause.SIGN_IN,
    (7, 11): Cause.SIGN_IN,
    (7, 13): Cause.SIGN_IN,
    (7, 20): Cause.SENDER,  # DKIM, SPF and DMARC (RFC 7372, 7489), and Gmail's and Outlook's own.
    (7, 21): Cause.SENDER,
    (7, 22): Cause.SENDER,
    (7, 23): Cause.SENDER,
    (7, 24): Cause.SENDER,
    (7, 25): Cause.SERVER,  # Its address has no name in the DNS (RFC 7372).
    (7, 26): Cause.SENDER,
    (7, 27): Cause.SENDER,
    (7, 30): Cause.SENDER,
    (7, 31): Cause.SENDER,
    (7, 32): Cause.SENDER,
    (7, 40): Cause.SENDER,
    (7, 60): Cause.SENDER,  # Exchange Online: may not send under this name.
    (7, 509): Cause.SENDER,
    (7, 515): Cause.SENDER,
    (7, 232): Cause.QUOTA,  # Exchange Online: of the sending organisation; so the next.
    (7, 233): Cause.QUOTA,
    (7, 705): Cause.QUOTA,
    (7, 17): Cause.RECIPIENT,  # Its owner has changed (RFC 7293).
    (7, 18): Cause.RECIPIENT,  # The owner of its domain has changed.
    (7, 124): Cause.RECIPIENT,  # Exchange Online: takes mail from named senders only; so the next.
    (7, 129): Cause.RECIPIENT,
    (7, 133): Cause.RECIPIENT,
    (7, 134): Cause.RECIPIENT,
    (7, 135): Cause.RECIPIENT,
    (7, 136): Cause.RECIPIENT,
}
_BY_SUBJECT = {
    3: Cause.SERVER,
    4: Cause.SERVER,
    5: Cause.SERVER,
    6: Cause.CONTENT,
    7: Cause.POLICY,
}
_SIGN_IN_CODES = frozenset({525, 530, 534, 535, 538})

_BY_CODE = {552: Cause.FULL, 556: Cause.RECIPIENT}
"""Of a refused recipient, where the server gives no status: these codes have one meaning each.

550, which is a mailbox's too, is any rule's as well (RFC 5321, 4.2.3), and 553 the sender's.
"""
_OF_THE_DIALOGUE = frozenset({500, 502, 503, 504, 521})
"""The server did not understand, or takes no mail at all: nothing of a recipient."""


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.VERBOSE)


# Without accents, in small letters. The first that is found says it, so the order counts: servers
# answer RCPT TO with what they think of the sender, of whom too they say "user unknown".
_RATE = _words(r"receiving\ mail\ (at\ a\ rate|too\ quickly)|gr[ea]y-?list|try\ again\ later")
_OURS = (
    (
        Cause.QUOTA,
        _words(
            r"""(sending|submission|daily|hourly|message|e-?mail|sender)
                  (\ user)?(\ sending|\ message|\ recipient)?\ (quota|rate|limit)(?!\w)
              | (quota|limite?)\b.{0,40}\b(per\ (day|hour|minute)|daily|hourly|par\ (jour|heure))
              | (quota|limite)\ (d'envois?|de\ messages) | (thread|connections?)\ limit
              | (too\ many|trop\ de)\ (messages|e-?mails|mails|(invalid\ )?recipients|destinataires
                |connections|connexions|log-?in\ attempts)
              | \bcredits\b
              | rate\ ?limit | throttl | sending\ (paused|suspended)
              | max(imum)?\ (defers|e-?mails|messages) | messaging\ limit"""
        ),
    ),
    (
        Cause.SENDER,
        _words(
            r"""\bsender('s)?\b.{0,120}?(reject|fail|invalid|unknown|denied|not\ |blocked|verify)
              | (invalid|bad|unknown|unauthori[sz]ed|unverified)\ (outbound\ )?sender
              | (emetteur|expediteur)\ (\w+\ )?(invalide|inconnu|refuse|non|rejete)
              | \b(absender|remitente|mittente|remetente|afzender)
                \w*\b.{0,80}?\b(unbekannt|abgelehnt|ungultig|nicht|no|non|nao|niet|invalid[oa]
                |(desconoc|desconhec|rechazad|recusad|sconosciut|rifiutat|inesistent|inexistent
                |onbekend|geweigerd)\w*)
              | \b(dns|mx|a/aaaa)\b.{0,40}?\ record
              | \bfrom\ (address|header|domain)\b | return[- ]path | envelope[- ]from
              | \b(spf|dkim|dmarc)\b | unauthenticated | sendasdenied | not\ verified
              | verification\ failed\ for"""
        ),
    ),
    (
        Cause.SERVER,
        _words(
            r"""relay(ing)?\b.{0,30}(denied|not\ permitted|not\ allowed|prohibited|refus)
              | (unable|not\ (permitted|allowed))\ to\ relay | rcpthosts
              | (helo|ehlo)\b.{0,40}reject | \b(reverse\ dns|rdns|ptr)\b
              | (invalid|bad|illegal)\ (helo|ehlo) | client\ host\ rejected
              | relay?age\b.{0,30}(interdit|refus|non\ autorise) | relais\ (interdit|refuse)
              | \bstarttls\b | \btls\b.{0,60}\b(required|requires|requis|needed|not\ supported)
              | encryption\ (is\ )?(needed|required)"""
        ),
    ),
    (
        Cause.POLICY,
        _words(
            r"""spamhaus | spamcop | barracuda | \b(dns|u|r)bl\b | (black|block|deny)\ ?list
              | blocked\ using | liste\ noire | \blisted\b.{0,6}\b(in|at|by|on)\b
              | \bbanned\b | reputation
              | spam | unsolicited | \bjunk | virus | malware | phishing
              | policy\ (violation|rejection|reasons|restrictions) | spoof | service\ refuse
              | \bip\b.{0,40}(reject|rejet|refus|block|bloqu|not\ allowed)"""
        ),
    ),
    (
        Cause.SIGN_IN,
        _words(
            r"""(authentication|authori[sz]ation)\ (is\ )?(required|failed|needed)
              | must\ (first\ )?authenticate
              | (not|un)\ ?authenticated | auth\ (is\ )?required | sign\ ?in\ (is\ )?required"""
        ),
    ),
)
_FULL = _words(
    r"""over\ (?:(its|the)\ (allowed\ )?|allowed\ )?(storage\ limit|quota) | overquota
      | (mailbox|inbox|boite|user|account)\b.{0,40}\b(full|pleine|quota)
      | (postfach|postbus|casella|buzon|caixa)\b.{0,40}\b(voll?|pien[ao]|llen[oa]|chei[ao])
      | exceeded\ storage | out\ of\ (storage|space) | quota\ (exceeded|depassee?)"""
)
_MAILBOX_QUOTA = _words(r"over\ ?quota | (mailbox|inbox|boite|user)\ quota")
_UNKNOWN = _words(
    r"""user\ (is\ )?unknown | unknown\ (or\ \w+\ )?(user|recipient|mailbox|address|account|local)
      | no\ such\ (local\ )?(user|mailbox|recipient|address|person|account|domain)
      | no\ mailbox | not\ (our|a)\ customer
      | (user|mailbox|recipient|address|account|alias|adresse|utilisateur|boite|compte|destinataire
        |empfanger\w*|benutzer|postfach|usuario|buzon|destinatari[oa]|cuenta|direccion|utente|casella
        |indirizzo|utilizador|caixa|conta|endereco|gebruiker|ontvanger|adres|postbus)\b.{0,60}?
          \b(does\ ?n[o']t\ exist|do\ not\ exist|n'existe\ pas|not\ (be\ )?found|inconnue?|unknown
            |inexistante?s?|disabled|inactive|inactivity|deactivated|desactivee?|closed|archivee?
            |suspended|terminated|invalid|expired
            |unbekannt|existiert\ nicht|nicht\ (bekannt|gefunden|vorhanden)|deaktiviert
            |desconocid[oa]|no\ (existe|encontrad[oa])|sconosciut[oa]|non\ (esiste|trovat[oa])
            |inesistente|inexistente|desconhecid[oa]|nao\ (existe|encontrad[oa])
            |onbekend|bestaat\ niet|niet\ gevonden)
      | (invalid|bad|non-?existent|inactive|disabled)\ (recipient|mailbox|address|user|account)
      | destinataire\b.{0,20}(invalide|inconnu|inexistant) | recipientnotfound
      | (have|has|a)\ (a|an|no)?\ ?\S+\ account\b | not\ a\ valid\ (mailbox|recipient|user)
      | unrouteable\ address | null\ ?mx | does\ not\ accept\ mail
      | host\ or\ domain\ name\ not\ found | domain\ (does\ not\ exist|not\ found)"""
)
_RULE = _words(
    r"""prohibit | \bpolic(y|ies)\b | \bden(ied|y) | forbidden | interdit | \bfilt(er|re)
      | (not|non)\ (allowed|permitted|authori[sz]ed|autorisee?) | authori[sz]ation
      | \b(message|mail|e-?mail|connection|ip)\b.{0,40}(reject|rejet|refus|block|bloqu)"""
)
"""A rule of the server: no word of the mailbox."""
_REFUSED = _words(
    r"""mailbox\ (is\ )?(unavailable|not\ available) | mailbox\ name\ not\ allowed
      | recipient\ (address\ )?rejected | user\ not\ local"""
)


def judge(reply: Reply) -> Cause:
    """Say whose doing a reply is that is no success."""
    text = _plain(reply.words)
    status = _status(reply.code, text)
    stage = reply.stage
    if stage is Stage.REPORT:
        stage = _told_stage(text) or stage
    if stage is Stage.AUTH and (not reply.code or reply.code >= 500):
        return Cause.SIGN_IN if reply.code else Cause.SERVER
    if not reply.code and stage is not Stage.REPORT:
        return Cause.SERVER
    said = _said(text)
    if stage in {Stage.CONNECT, Stage.AUTH, Stage.MAIL}:
        return said or _of_the_portal(stage, reply.code, status)
    exact = _EXACT.get(status) if status is not None else None
    if exact is not None and status is not None and status[0] == 7:
        # More exact than any word; but Yahoo says 5.7.9 of a sender that nobody vouches for, and
        # of a mail that it does not like.
        if exact is not Cause.SIGN_IN or said not in {Cause.SENDER, Cause.POLICY}:
            said = exact
    elif (
        exact is Cause.RECIPIENT
        and said not in {Cause.SENDER, Cause.LATER}
        and _UNKNOWN.search(text)
    ):
        # The server's name, or an advertisement of its filter, may hold any word.
        said = None
    if said is not None:
        return said
    if _is_temporary(reply.code, text):
        return Cause.FULL if status == (2, 2) or _FULL.search(text) else Cause.LATER
    return _of_a_recipient(stage, reply.code, status, text)


def _plain(words: str) -> str:
    letters = unicodedata.normalize("NFKD", _NAMES.sub(" ", words).replace("\u2019", "'"))
    plain = "".join(one for one in letters if not unicodedata.combining(one)).casefold()
    return " ".join(plain.split())


def _status(code: int, text: str) -> tuple[int, int] | None:
    """Subject and detail; the last one, for a report's own is less exact than the server's."""
    found = [
        (int(subject), int(detail))
        for class_, subject, detail in _STATUS.findall(text)
        if class_ != "2" and (not code or class_ == str(code)[0])
    ]
    exact = [one for one in found if one[1]] or found
    return exact[-1] if exact else None


def _told_stage(text: str) -> Stage | None:
    """The stage of which a report speaks, as Postfix and Exim write it."""
    if "end of data" in text or "reply to data" in text:
        return Stage.DATA
    for stage in (Stage.MAIL, Stage.RCPT, Stage.DATA):
        if re.search(rf"(in reply to|after|response to|during) {stage.casefold()}\b", text):
            return stage
    return None


def _said(text: str) -> Cause | None:
    """Cause that the words of a reply tell, unless they speak of the recipient."""
    if _RATE.search(text):
        return Cause.LATER
    for cause, pattern in _OURS:
        if pattern.search(text) and not (cause is Cause.QUOTA and _MAILBOX_QUOTA.search(text)):
            return cause
    return None


def _of_the_portal(stage: Stage, code: int, status: tuple[int, int] | None) -> Cause:
    if code in _SIGN_IN_CODES:
        return Cause.SIGN_IN
    exact = _EXACT.get(status) if status is not None else None
    if exact in {Cause.SIGN_IN, Cause.QUOTA, Cause.CONTENT}:
        return exact
    if stage is Stage.CONNECT or code < 500 or (status is not None and status[0] in {3, 4, 5}):
        return Cause.SERVER
    # The size of a mail is announced with its sender.
    return Cause.CONTENT if code == 552 else Cause.SENDER


def _is_temporary(code: int, text: str) -> bool:
    """True if the code or the status says so: of two that disagree, the milder is believed."""
    classes = [class_ for class_, _subject, _detail in _STATUS.findall(text)]
    if code:
        return code < 500 or ("4" in classes and "5" not in classes)
    return classes[:1] == ["4"]


def _of_a_recipient(
    stage: Stage, code: int, status: tuple[int, int] | None, text: str
) -> Cause:
    if code in _SIGN_IN_CODES:
        return Cause.SIGN_IN
    if code in _OF_THE_DIALOGUE and status is None:
        return Cause.SERVER
    if status in _EXACT:
        # Orange says 5.1.1 of a full mailbox too.
        is_full = status[0] == 1 and _FULL.search(text) and not _UNKNOWN.search(text)
        return Cause.FULL if is_full else _EXACT[status]
    if _UNKNOWN.search(text):
        return Cause.RECIPIENT
    if _FULL.search(text):
        return Cause.FULL
    subject = status[0] if status is not None else 0
    # Microsoft answers an unknown recipient with 5.4.1 or 5.5.0, and says so in words only.
    if subject in {0, 1, 2, 4, 5} and _REFUSED.search(text):
        return Cause.RECIPIENT
    if subject in _BY_SUBJECT:
        return _BY_SUBJECT[subject]
    if stage is Stage.RCPT:
        # 5.1.x and 5.2.x speak of the address and of the mailbox; 5.1.0 and 5.2.0 of anything.
        if status is not None and subject and (status[1] or not _RULE.search(text)):
            return Cause.RECIPIENT
        return Cause.POLICY if _RULE.search(text) else _BY_CODE.get(code, Cause.UNSAID)
    return Cause.CONTENT if code == 552 else Cause.POLICY
