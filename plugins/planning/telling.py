"""Messages to families: the proof of a request, a free place, a closed day, reminders."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime

from sqlalchemy import select

from core.plugin import PARIS, Link, Notification, TenantContext, Wording
from core.plugin import gettext as _
from plugins.planning import labels
from plugins.planning.book import Outcome
from plugins.planning.models import PlanningRequest
from plugins.planning.settings import PlanningSettings

PROOF, PLACE, CLOSED, REMINDER = "proof", "place", "closed", "reminder"
MAX_LINES = 40
"""Of a message; the rest stands behind its link."""


def tell(ctx: TenantContext, outcome: Outcome, *, family_id: int | None) -> None:
    """Write the messages that follow from a request: its proof, and who got a place by it."""
    from plugins.planning import plugin  # noqa: PLC0415 - the plugin object imports us

    if outcome.repeated:
        return
    if family_id is not None and any(answer.changed for answer in outcome.answers):
        note = Notification(outcome.key, family_id, {"request": outcome.key})
        ctx.messages.send(plugin, PROOF, note)
    for place in outcome.promotions:
        if place.family_id is not None:
            key = f"{place.child_id}/{place.service}/{place.day}/{outcome.key}"
            ctx.messages.send(
                plugin,
                PLACE,
                Notification(
                    key[:200], place.family_id,
                    {"child": place.child_id, "service": place.service,
                     "day": place.day.isoformat()},
                ),
            )  # fmt: skip


class _Kind:
    """Base of the message kinds for families."""

    def __init__(self, ctx: TenantContext, settings: PlanningSettings) -> None:
        self._ctx = ctx
        self._settings = settings

    def _names(self, family_id: int) -> dict[int, str]:
        return {child.id: child.name for child in self._ctx.families.children(family_id)}

    def _service(self, key: str) -> str:
        found = self._settings.services.get(key)
        return found.label if found else key

    def _week(self, day: date | None = None) -> Link:
        query = f"?jour={day.isoformat()}" if day else ""
        return Link(_("Voir le planning"), f"{self._ctx.town.base_url}/+planning/{query}")


class ProofKind(_Kind):
    """The proof of a request."""

    key = PROOF

    @property
    def label(self) -> str:
        """For the family's choices."""
        return _("Planning : confirmation de vos demandes")

    def write(self, notification: Notification) -> Wording | None:
        """Say what was asked, when, and each answer."""
        row = self._ctx.session.scalar(
            select(PlanningRequest).where(
                PlanningRequest.tenant_id == self._ctx.town.slug,
                PlanningRequest.key == notification.payload["request"],
            )
        )
        if row is None:
            return None
        names = self._names(notification.family_id)
        lines = [
            _("– %(child)s, %(service)s, %(day)s : %(answer)s")
            % {
                "child": names.get(answer["child"], ""),
                "service": self._service(answer["service"]),
                "day": labels.day(date.fromisoformat(answer["day"])),
                "answer": labels.proved(answer),
            }
            for answer in row.answers
        ]
        more = len(lines) - MAX_LINES
        if more > 0:
            lines = [*lines[:MAX_LINES], _("– et %s autres, sur le portail") % more]
        intro = _("Votre demande n° %(number)s du %(day)s à %(clock)s est enregistrée :") % {
            "number": row.id, "day": labels.day(row.at.astimezone(PARIS).date()),
            "clock": labels.clock(row.at),
        }  # fmt: skip
        link = Link(
            _("Voir la demande"), f"{self._ctx.town.base_url}/+planning/demande/{row.id}"
        )
        return Wording(_("Votre demande de planning"), "\n\n".join([intro, "\n".join(lines)]), link)


class PlaceKind(_Kind):
    """A place went to a child who waited."""

    key = PLACE

    @property
    def label(self) -> str:
        """For the family's choices."""
        return _("Planning : une place s’est libérée")

    def write(self, notification: Notification) -> Wording | None:
        """Say whose place it is now."""
        payload = notification.payload
        name = self._names(notification.family_id).get(payload["child"])
        if name is None:
            return None
        day = date.fromisoformat(payload["day"])
        text = _(
            "Une place s’est libérée : %(child)s est inscrit pour %(service)s, %(day)s. "
            "Si vous n’en avez plus besoin, annulez sur le portail."
        ) % {"child": name, "service": self._service(payload["service"]), "day": labels.day(day)}
        return Wording(_("Une place s’est libérée"), text, self._week(day))


class ClosedKind(_Kind):
    """The town closed a day."""

    key = CLOSED

    @property
    def label(self) -> str:
        """For the family's choices."""
        return _("Planning : un service est fermé")

    def write(self, notification: Notification) -> Wording | None:
        """Say what is closed, why, and for whom."""
        payload = notification.payload
        names = self._names(notification.family_id)
        day = date.fromisoformat(payload["day"])
        by_service: dict[str, list[str]] = defaultdict(list)
        for child, service in payload["booked"]:
            if child in names:
                by_service[self._service(service)].append(names[child])
        if not by_service:
            return None
        lines = [
            f"– {service}{labels.colon()}{', '.join(who)}" for service, who in by_service.items()
        ]
        if payload["open"]:
            text = _("%(day)s, le service rouvre ; ces réservations sont de nouveau en place :") % {
                "day": labels.day(day).capitalize()
            }
            subject = _("Un service rouvre")
            return Wording(subject, "\n\n".join([text, "\n".join(lines)]), self._week(day))
        text = _("%(day)s, ces réservations sont annulées par la collectivité (%(reason)s) :") % {
            "day": labels.day(day).capitalize(), "reason": payload["reason"],
        }  # fmt: skip
        return Wording(
            _("Un service est fermé"), "\n\n".join([text, "\n".join(lines)]), self._week(day)
        )


class ReminderKind(_Kind):
    """A deadline comes near, and the week is empty or unlike the usual one."""

    key = REMINDER

    @property
    def label(self) -> str:
        """For the family's choices."""
        return _("Planning : rappel avant la date limite")

    def write(self, notification: Notification) -> Wording | None:
        """Say until when the week can be changed, unless that is over."""
        payload = notification.payload
        until = datetime.fromisoformat(payload["until"])
        if self._ctx.clock.now() >= until:
            return None
        names = self._names(notification.family_id)
        monday = date.fromisoformat(payload["monday"])
        lines = []
        for child, service, empty in payload["weeks"]:
            if child in names:
                words = _("rien n’est réservé") if empty else _("autrement que d’habitude")
                lines.append(
                    _("– %(child)s, %(service)s : %(answer)s")
                    % {"child": names[child], "service": self._service(service), "answer": words}
                )
        if not lines:
            return None
        text = _("La semaine du %(day)s se modifie jusqu’au %(until)s :") % {
            "day": labels.day(monday), "until": labels.moment(until),
        }  # fmt: skip
        return Wording(
            _("Planning : pensez à la semaine à venir"),
            "\n\n".join([text, "\n".join(lines), _("Si cela vous convient, ne faites rien.")]),
            self._week(monday),
        )


KINDS = (ProofKind, PlaceKind, ClosedKind, ReminderKind)
