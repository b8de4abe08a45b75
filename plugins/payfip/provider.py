"""PayFiP as a payment provider: opens payments, and says how they stand.

Nothing is kept between calls. What `outcome` compares the answer with is in `Redirect.asked`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from core.plugin import (
    Anomaly,
    Attempt,
    Capabilities,
    Clock,
    Failed,
    FailureKind,
    Means,
    Outcome,
    PaymentIntent,
    Pending,
    Redirect,
    RefusalKind,
    RetryableError,
    Settled,
    StartRefusedError,
)
from core.plugin import gettext as _
from plugins.payfip import faults, fields
from plugins.payfip.faults import PayFiPFaultError, UnavailableError
from plugins.payfip.settings import Exercise, Mode, PayFiPSettings, ReferenceRule, Regie
from plugins.payfip.weighing import COMPARED, NOTED, PARIS, believable, cents, differences

if TYPE_CHECKING:
    from plugins.payfip.client import Client, PaymentDetail

KEY = "payfip"

PAGE_LIFE = timedelta(minutes=14)
"""Time during which a parent is led back to PayFiP's page. The page lives for about 15 minutes;
the minute less keeps a parent from arriving at a page that has just closed."""
NOT_RECEIVED = timedelta(minutes=15)
"""Age below which an idOp that is said to be unknown may be one not yet received."""
MAY_SETTLE = timedelta(hours=2)
"""Age below which an idOp may still get an outcome, or a better one."""

_MEANS = {"P": Means.CARD, "V": Means.ONLINE_DEBIT}
_FAILURES = {
    "R": FailureKind.REFUSED,
    "Z": FailureKind.REFUSED,
    "A": FailureKind.CANCELLED,
}


class PayFiPProvider:
    """Implements `core.plugin.PaymentProvider` for the régies of one town."""

    key = KEY

    def __init__(self, settings: PayFiPSettings, client: Client, clock: Clock) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self.label = _("PayFiP, le paiement en ligne de la DGFiP")
        if any(regie.mode is Mode.TEST for regie in settings.regies.values()):
            # What parents and the régisseur read must tell play money from money.
            self.label = _("PayFiP (essai, aucun argent n’est prélevé)")

    def capabilities(self, regie: str) -> Capabilities | None:
        """Abilities of PayFiP for this régie; None when the settings do not name the régie."""
        own = self._settings.regies.get(regie)
        if own is None:
            return None
        return Capabilities(
            several_invoices=own.several_invoices,
            minimum=fields.MIN_CENTS,
            maximum=fields.MAX_CENTS,
            direct_debit=own.direct_debit,
            reference_pattern=fields.REFERENCE_PATTERN if own.sends_titres else "",
            reference_rule=_(
                "Sa référence doit être celle de la trésorerie : 6 à 30 lettres sans accent et"
                " chiffres."
            )
            if own.sends_titres
            else "",
        )

    def start(self, intent: PaymentIntent) -> Redirect:
        """Open a payment at PayFiP.

        Raises:
            FieldError: a field is not as PayFiP takes it; nothing was sent.
            StartRefusedError: PayFiP refuses; the reason holds its code and words.
            RetryableError: PayFiP is away or in trouble.
        """
        own = self._settings.regies.get(intent.regie)
        if own is None:
            raise StartRefusedError(
                RefusalKind.SETTINGS,
                _("La régie %(regie)s n’a pas de paramétrage PayFiP.") % {"regie": intent.regie},
            )
        now = self._clock.now()
        creation = creation_for(intent, own, now)
        try:
            id_op = self._client.create(creation)
        except PayFiPFaultError as fault:
            raise faults.to_start_error(fault, regie=intent.regie, numcli=own.numcli) from fault
        asked = {name: getattr(creation, name) for name in (*COMPARED, *NOTED, "objet")}
        return Redirect(
            reference=id_op,
            url=self._page(id_op),
            payer_reference=creation.refdet,
            asked=asked | {"created_at": now.astimezone(UTC).isoformat()},
        )

    def outcome(self, attempt: Attempt) -> Outcome:
        """Ask PayFiP how the attempt stands, and weigh the answer against what was asked.

        Raises:
            RetryableError: there is no usable answer now; ask again, be it tomorrow.
        """
        pause = timedelta(seconds=self._settings.technical_pause)
        try:
            detail = self._client.payment(attempt.reference)
        except PayFiPFaultError as fault:
            return self._without_result(attempt, fault, pause)
        except UnavailableError as error:
            if error.answered:
                raise RetryableError(error.reason, after=pause) from error
            raise
        return self._with_result(attempt, detail)

    def _without_result(
        self, attempt: Attempt, fault: PayFiPFaultError, pause: timedelta
    ) -> Outcome:
        raw = fault.detail.raw()
        if fault.functional and fault.code == faults.UNKNOWN:
            if self._age(attempt) < NOT_RECEIVED:
                # The service's own parts may not have told one another yet.
                return self._pending(attempt, fault.code, raw, page=True)
            return Failed(FailureKind.EXPIRED, raw)
        if fault.functional and fault.code in faults.UNDECIDED:
            if self._age(attempt) >= MAY_SETTLE:
                return Failed(FailureKind.EXPIRED, raw)
            open_page = fault.code == faults.NOT_YET
            return self._pending(attempt, fault.code, raw, page=open_page)
        raise faults.to_outcome_error(fault, pause) from fault

    def _with_result(self, attempt: Attempt, detail: PaymentDetail) -> Outcome:
        raw = detail.raw()
        result = detail.resultrans.upper()
        dead = self._age(attempt) >= MAY_SETTLE
        if not result and not (detail.dattrans or detail.numauto):
            if dead:
                return Failed(FailureKind.EXPIRED, raw)
            return self._pending(attempt, "", raw, page=True)
        if reason := self._misfit(attempt, detail, money=result not in _FAILURES):
            # A refusal or a cancellation took no money, if it is about this payment.
            unpaid = result in _FAILURES and not _is_of_another(attempt, detail)
            return Anomaly(reason, raw, may_be_paid=not unpaid)
        if result in _MEANS:
            return self._settled(attempt, detail, _MEANS[result])
        if result in _FAILURES:
            # In another tab the parent may try again: until the idOp is surely dead, a refusal or a
            # cancellation is news, not an end. But nobody is led back to that page: of two public
            # modules we know that PayFiP refused an idOp that was used once. A fresh one is made.
            if dead:
                return Failed(_FAILURES[result], raw)
            return self._pending(attempt, _FAILURES[result].value, raw, page=False)
        # Another means of payment, maybe. It may be money: never an end, and nothing beside it.
        words = _("PayFiP annonce un résultat inconnu : « %s ».") % detail.resultrans
        return Pending(resumable=False, detail=words, raw=raw, watched=True)

    def _settled(self, attempt: Attempt, detail: PaymentDetail, means: Means) -> Outcome:
        raw = detail.raw()
        if self._stale_test(attempt):
            # No money moved, so nothing is to be held for it.
            words = _("Paiement d’essai (mode T) dans une régie qui n’est plus en essai.")
            return Anomaly(words, raw, may_be_paid=False)
        noted = ", ".join(
            f"{name} {attempt.asked.get(name, '')} > {raw[name]}"
            for name in differences(attempt.asked, raw, NOTED)
        )
        now = self._clock.now()
        when = believable(
            detail.dattrans, detail.heurtrans, earliest=self._opened(attempt), latest=now
        )
        return Settled(
            amount=cents(detail.montant) or 0,
            means=means,
            paid_at=when or now,
            authorisation=detail.numauto,
            raw=raw | {"noted": noted} if noted else raw,
        )

    def _misfit(self, attempt: Attempt, detail: PaymentDetail, *, money: bool) -> str:
        """Name what the answer says otherwise than it was asked; "" when it fits.

        Where there is `money`, what the answer leaves out does not fit either.
        """
        # The amount that core stores is the truth; `asked` is only its copy.
        asked = {**attempt.asked, "montant": str(attempt.amount)}
        answered = detail.raw()
        wrong = [
            _("%(field)s demandé « %(asked)s », répondu « %(answered)s »")
            % {"field": name, "asked": asked.get(name, ""), "answered": answered[name]}
            for name in differences(asked, answered, COMPARED)
            if money or answered[name]
        ]
        if _is_of_another(attempt, detail) and (money or detail.idOp):
            wrong.append(_("la réponse porte sur un autre paiement"))
        if wrong:
            return _("La réponse de PayFiP ne correspond pas à la demande : %s.") % ", ".join(wrong)
        return ""

    def _stale_test(self, attempt: Attempt) -> bool:
        """True for test money that arrives after the régie began to take real money."""
        own = self._settings.regies.get(attempt.regie)
        return (
            attempt.asked.get("saisie") == Mode.TEST
            and own is not None
            and own.mode is not Mode.TEST
        )

    def _pending(
        self, attempt: Attempt, detail: str, raw: Mapping[str, str], *, page: bool
    ) -> Pending:
        resumable = page and self._age(attempt) < PAGE_LIFE
        return Pending(
            resumable=resumable,
            resume_url=self._page(attempt.reference) if resumable else "",
            detail=detail,
            raw=raw,
        )

    def _age(self, attempt: Attempt) -> timedelta:
        return self._clock.now() - self._opened(attempt)

    def _opened(self, attempt: Attempt) -> datetime:
        """The moment from which PayFiP knows the attempt: when it was asked, if that was kept."""
        try:
            return datetime.fromisoformat(attempt.asked["created_at"])
        except (KeyError, ValueError):
            return attempt.created_at

    def _page(self, id_op: str) -> str:
        return f"{self._settings.page_url}?{urlencode({'idop': id_op})}"


def _is_of_another(attempt: Attempt, detail: PaymentDetail) -> bool:
    return any(differences({"idOp": attempt.reference}, detail.raw(), ("idOp",)))


def creation_for(intent: PaymentIntent, regie: Regie, now: datetime) -> fields.Creation:
    """Normalise and check every field of a payment that is to be opened.

    Raises:
        FieldError: PayFiP would refuse it.
    """
    return fields.Creation(
        exer=fields.exer(_exercise(intent, regie, now)),
        mel=fields.mel(intent.email),
        montant=fields.montant(intent.amount),
        numcli=fields.numcli(regie.numcli),
        objet=fields.objet(", ".join(invoice.label for invoice in intent.invoices)),
        refdet=fields.refdet(_reference(intent, regie)),
        saisie=regie.mode.value,
        urlnotif=fields.url("urlnotif", intent.notify_url),
        urlredirect=fields.url("urlredirect", intent.return_url),
    )


def _exercise(intent: PaymentIntent, regie: Regie, now: datetime) -> int:
    if regie.exercise_rule is Exercise.CURRENT or not intent.invoices:
        return now.astimezone(PARIS).year
    return max(invoice.fiscal_year for invoice in intent.invoices)


def _reference(intent: PaymentIntent, regie: Regie) -> str:
    known = intent.invoices[0].payment_reference if len(intent.invoices) == 1 else ""
    if regie.sends_titres:
        if not known:
            raise fields.FieldError(
                "refdet",
                _("un titre se paie seul et avec la référence que connaît la trésorerie."),
            )
        return known
    if regie.reference is ReferenceRule.REGIE and fields.is_refdet(known):
        return known
    # Nobody but the régie needs to know it, so one that PayFiP would refuse is replaced as well.
    # The day keeps apart the payments of a portal whose numbering once starts again.
    day = intent.created_at.astimezone(PARIS).strftime("%Y%m%d")
    return f"{regie.prefix}{day}{intent.payment_id:08d}"
