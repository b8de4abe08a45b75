"""Meaning of an attempt to pay, in words: the one place that pages, lists, bot and office read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.api.payments import Means
from core.domain.attempt_status import (
    Act,
    AttemptFacts,
    LastAnswer,
    Situation,
    Standing,
    standing,
)
from core.domain.payment_states import PaymentState
from core.domain.start_refusals import RefusalKind
from core.payments.models import Payment
from core.platform.i18n import gettext as _


@dataclass(frozen=True, slots=True)
class Words:
    """A title, a text that says what happened and what to do, and a label of two or three words."""

    title: str
    text: str
    label: str


def standing_of(payment: Payment, now: datetime) -> Standing:
    """Tell what an attempt means at this moment."""
    return standing(
        AttemptFacts(
            state=PaymentState(payment.state),
            last_answer=LastAnswer(payment.last_answer),
            age=now - payment.created_at,
            start_refusal=RefusalKind(payment.start_refusal) if payment.start_refusal else None,
            may_be_paid=payment.may_be_paid,
            resumable=bool(payment.provider_url),
            dismissed=bool(payment.dismissed),
            superseded=payment.superseded_at is not None,
            promised=payment.means == Means.ONLINE_DEBIT,
        )
    )


def for_parent(situation: Situation) -> Words:
    """The words for the family that pays."""
    return _parent()[situation]


def for_office(situation: Situation) -> Words:
    """The words for the régie."""
    return _office()[situation]


def act_words(act: Act, situation: Situation) -> str:
    """The words of a button for an act; "" for an act that needs none (to wait)."""
    if act is Act.RESUME and situation is Situation.OPENING:
        return _("Aller à la page de paiement")
    return {
        Act.RESUME: _("Reprendre le paiement"),
        Act.RETRY: _("Réessayer"),
        Act.RESTART: _("Recommencer"),
        Act.CHOOSE: _("Choisir d’autres factures"),
        Act.CORRECT: _("Corriger l’adresse"),
        Act.RECEIPT: _("Télécharger le reçu (PDF)"),
    }.get(act, "")


def next_act(standing: Standing) -> str:
    """The words of the one button that a list or a message shows: to act, or else to look."""
    words = (act_words(act, standing.situation) for act in standing.acts)
    return next(filter(None, words), _("Voir où en est ce paiement"))


def _parent() -> dict[Situation, Words]:
    waits = _(
        "Cette page se met à jour toute seule. Vous pouvez aussi la quitter : dès que le paiement"
        " est confirmé, la facture passe parmi les factures payées et la confirmation part par"
        " e-mail."
    )
    late = _("S’il aboutit malgré tout, ce qui serait payé en trop vous reste acquis.")
    under_way = _("Paiement en cours")
    checked = _("La régie vérifie")
    return {
        Situation.NOT_OPENED_PAYER: Words(
            _("Votre adresse e-mail est à corriger"),
            _("Le service de paiement ne l’a pas acceptée. Rien n’a été débité : corrigez-la, puis"
              " payez."),
            _("Adresse à corriger"),
        ),
        Situation.NOT_OPENED_INVOICE: Words(
            _("Cette facture ne peut pas être payée en ligne pour l’instant"),
            _("Le service de paiement n’accepte pas sa référence ou son montant. Rien n’a été"
              " débité, et la régie est prévenue : elle doit d’abord corriger la facture."),
            _("Paiement non ouvert"),
        ),
        Situation.NOT_OPENED_SETTINGS: Words(
            _("Le paiement en ligne est indisponible"),
            _("Service indisponible : le paiement n’a pas pu s’ouvrir. Rien n’a été débité, et la"
              " régie est prévenue. Vous pourrez payer dès qu’elle l’aura rétabli."),
            _("Paiement non ouvert"),
        ),
        Situation.NOT_OPENED: Words(
            _("Le paiement n’a pas pu s’ouvrir"),
            _("Le service de paiement ne l’a pas ouvert. Rien n’a été débité, et la régie est"
              " prévenue. Revenez plus tard, ou adressez-vous à elle."),
            _("Paiement non ouvert"),
        ),
        Situation.OPENING: Words(
            _("La page de paiement va s’ouvrir"),
            _("Si elle ne s’ouvre pas dans quelques secondes, allez-y par le bouton. Rien n’est"
              " encore débité."),
            _("Paiement commencé"),
        ),
        Situation.OPEN: Words(_("Nous attendons la réponse de la banque"), waits, under_way),
        Situation.AWAITED: Words(_("Nous attendons la réponse de la banque"), waits, under_way),
        Situation.OVERDUE: Words(
            _("Nous attendons encore la réponse de la banque"),
            _("Vous n’avez pas terminé ce paiement ? Sa page est fermée : recommencez.")
            + " " + late,
            under_way,
        ),
        Situation.TRY_REFUSED: Words(
            _("La banque a refusé ce paiement"),
            _("Rien n’a été débité. Vous pouvez réessayer, avec une autre carte par exemple.")
            + " " + late,
            _("Paiement refusé"),
        ),
        Situation.TRY_CANCELLED: Words(
            _("Vous avez annulé ce paiement"),
            _("Rien n’a été débité. Vous pouvez réessayer, ou choisir d’autres factures.")
            + " " + late,
            _("Paiement annulé"),
        ),
        Situation.SUPERSEDED: Words(
            _("Vous avez recommencé ce paiement"),
            _("Un autre essai l’a remplacé.") + " " + late,
            _("Paiement remplacé"),
        ),
        Situation.CHECKED: Words(
            _("La régie vérifie ce paiement"),
            _("La réponse du service de paiement ne correspond pas à ce qui lui était demandé, et"
              " l’argent est peut-être déjà parti. Ne payez pas une seconde fois : la régie"
              " vérifie, et cette page le dira."),
            checked,
        ),
        Situation.UNREADABLE: Words(
            _("Le résultat de ce paiement est à vérifier"),
            _("Le service de paiement a donné un résultat que ce portail ne connaît pas : le"
              " paiement est peut-être fait. Ne payez pas une seconde fois : la régie vérifie, et"
              " cette page le dira."),
            checked,
        ),
        Situation.UNFIT: Words(
            _("Ce paiement n’a pas abouti"),
            _("Rien n’a été débité. La régie vérifie la réponse du service de paiement ; vous"
              " pouvez réessayer dès maintenant.")
            + " " + late,
            _("Paiement non abouti"),
        ),
        Situation.DISMISSED: Words(
            _("La régie a vérifié ce paiement"),
            _("Cet essai est clos. Ce qui reste à régler peut être payé de nouveau."),
            _("Paiement vérifié"),
        ),
        Situation.REFUSED: Words(
            _("Le paiement a été refusé"),
            _("La banque n’a pas accepté ce paiement : rien n’a été débité. Vérifiez la carte et"
              " son plafond, ou essayez avec une autre."),
            _("Paiement refusé"),
        ),
        Situation.CANCELLED: Words(
            _("Vous avez abandonné le paiement"),
            _("Rien n’a été débité. Les factures restent à régler, quand vous le souhaitez."),
            _("Paiement annulé"),
        ),
        Situation.EXPIRED: Words(
            _("Le délai du paiement est passé"),
            _("Le paiement n’a pas été terminé à temps : rien n’a été débité."),
            _("Paiement expiré"),
        ),
        Situation.PAID: Words(_("Paiement confirmé, merci !"), "", _("Payé")),
        Situation.PROMISED: Words(
            _("Prélèvement enregistré, merci !"),
            _("Votre prélèvement est enregistré : la somme sera débitée dans quelques jours."),
            _("Prélèvement à venir"),
        ),
        Situation.REVERSED: Words(
            _("Ce paiement a été annulé"),
            _("La somme n’a finalement pas été encaissée, et les factures sont de nouveau à"
              " régler. La collectivité peut vous renseigner : ses coordonnées sont en bas de la"
              " page."),
            _("Paiement annulé"),
        ),
    }  # fmt: skip


def _office() -> dict[Situation, Words]:
    asked = _(
        "Le portail interroge le service de paiement de lui-même, jusqu’à une réponse ou"
        " l’expiration : rien n’est à faire, sauf à le lui demander tout de suite."
    )
    waiting = _("En attente")
    may_be_paid = _(
        "L’argent est peut-être là : personne ne peut payer de nouveau ces factures tant que le"
        " service n’a pas donné une réponse claire, ou que l’anomalie n’est pas classée."
    )
    tries = (
        _("La famille peut réessayer. S’il aboutit malgré tout, il sera encaissé.") + " " + asked
    )
    not_opened = _("Non ouvert")
    no_money = _("Rien n’a été débité, et aucune banque n’a été interrogée.")
    return {
        Situation.NOT_OPENED_PAYER: Words(
            _("L’adresse e-mail du payeur n’a pas été acceptée"),
            no_money + " " + _("Rien n’est à faire : la famille est priée de la corriger."),
            not_opened,
        ),
        Situation.NOT_OPENED_INVOICE: Words(
            _("Le service de paiement n’accepte pas cette facture"),
            no_money + " " + _("Sa référence ou son montant est à corriger, dans le logiciel de"
              " facturation puis par un nouvel import. Un essai de la famille échouerait de"
              " nouveau d’ici là."),
            not_opened,
        ),
        Situation.NOT_OPENED_SETTINGS: Words(
            _("Le service de paiement refuse le paramétrage de la régie"),
            no_money + " " + _("Aucune famille ne peut payer en ligne dans cette régie tant que"
              " l’exploitant n’a pas corrigé le paramétrage. Le premier paiement qui s’ouvre"
              " classe ce signalement."),
            not_opened,
        ),
        Situation.NOT_OPENED: Words(
            _("Le service de paiement n’a pas ouvert ce paiement"),
            no_money + " " + _("Le motif ci-dessous est celui du service. Montrez-le à"
              " l’exploitant s’il revient, puis classez-le."),
            not_opened,
        ),
        Situation.OPENING: Words(_("La famille va payer"), asked, _("Commencé")),
        Situation.OPEN: Words(_("La famille n’a pas encore fini de payer"), asked, waiting),
        Situation.AWAITED: Words(_("Le service n’a pas encore répondu"), asked, waiting),
        Situation.OVERDUE: Words(_("Le service n’a toujours pas répondu"), asked, waiting),
        Situation.TRY_REFUSED: Words(
            _("La banque a refusé cet essai"),
            tries,
            _("Refusé, surveillé"),
        ),
        Situation.TRY_CANCELLED: Words(
            _("La famille a annulé cet essai"),
            tries,
            _("Annulé, surveillé"),
        ),
        Situation.SUPERSEDED: Words(
            _("La famille a recommencé ce paiement"),
            _("Un autre essai l’a remplacé. S’il aboutit malgré tout, le trop-perçu est gardé en"
              " avoir.") + " " + asked,
            _("Remplacé, surveillé"),
        ),
        Situation.CHECKED: Words(
            _("La réponse du service ne correspond pas à la demande"), may_be_paid, _("À vérifier"),
        ),
        Situation.UNREADABLE: Words(
            _("Le service a donné un résultat inconnu du portail"),
            may_be_paid + " " + _("Signalez ce résultat à l’exploitant : c’est peut-être un nouveau"
              " moyen de paiement."),
            _("À vérifier"),
        ),
        Situation.UNFIT: Words(
            _("La réponse du service ne correspond pas à la demande"),
            _("Elle dit que rien n’a été débité : la famille peut réessayer."),
            _("À vérifier"),
        ),
        Situation.DISMISSED: Words(
            _("L’anomalie est classée"),
            _("La famille peut payer de nouveau ce qui reste dû. Si le service annonce malgré tout"
              " un paiement, il sera encaissé."),
            _("Classé"),
        ),
        Situation.REFUSED: Words(_("La banque a refusé le paiement"), "", _("Refusé")),
        Situation.CANCELLED: Words(_("La famille a abandonné le paiement"), "", _("Abandonné")),
        Situation.EXPIRED: Words(_("Le délai du paiement est passé"), "", _("Expiré")),
        Situation.PAID: Words(_("Le paiement est encaissé"), "", _("Encaissé")),
        Situation.PROMISED: Words(
            _("La famille a donné l’ordre d’un prélèvement"),
            _("La somme arrive dans quelques jours, et peut encore être rejetée."),
            _("Encaissé"),
        ),
        Situation.REVERSED: Words(_("Le paiement a été annulé"), "", _("Annulé")),
    }  # fmt: skip
