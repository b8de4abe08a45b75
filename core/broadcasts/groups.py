"""Groups of families that core knows by itself, and those that plugins bring, in one list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Protocol

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.groups import GroupField
from core.domain.dates import DateError, parse_day
from core.families.models import AccessCode, ContactEmail, Family
from core.invoices.models import Invoice, InvoiceState
from core.platform.clock import today
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.plugins.calls import ContractError, contain
from core.platform.plugins.guests import HeldGroup
from core.platform.plugins.rests import FaultError
from core.platform.tenancy.config import TenantConfig

ALL, REGIE, OPEN = "all", "regie", "open"
MAX_FAMILIES = 500_000
"""Families that a plugin may name: more than the largest town has."""
AUDIENCE_CHARACTERS = 300


class Group(Protocol):
    """A group of families, core's or a plugin's."""

    @property
    def label(self) -> str:
        """A few words for the list of groups."""
        ...

    @property
    def fields(self) -> Sequence[GroupField]:
        """Choice of an agent."""
        ...

    def describe(self, chosen: Mapping[str, str]) -> str:
        """Say which families are meant."""
        ...

    def families(self, chosen: Mapping[str, str]) -> Collection[int]:
        """Give the families' numbers."""
        ...


class OwnGroup:
    """A group of core's."""

    def __init__(
        self,
        label: str,
        fields: Sequence[GroupField],
        describe: Callable[[Mapping[str, str]], str],
        where: Callable[[Mapping[str, str]], list[ColumnElement[bool]]],
        session: Session,
    ) -> None:
        self.label = label
        self.fields = fields
        self.describe = describe
        self._where = where
        self._session = session

    def families(self, chosen: Mapping[str, str]) -> Collection[int]:
        """See `Group.families`."""
        return self._session.scalars(select(Family.id).where(*self._where(chosen))).all()


class PluginGroup:
    """A group of a plugin's: what it raises or answers costs the agent a message, and no more."""

    def __init__(self, held: HeldGroup, town: str) -> None:
        self.label = held.label
        self.fields = held.fields
        self._held = held
        self._town = town

    def describe(self, chosen: Mapping[str, str]) -> str:
        """See `Group.describe`."""

        def described() -> str:
            words = self._held.describe(chosen)
            if not isinstance(words, str) or not words.strip():
                raise ContractError(f"gave {words!r:.80} for the families that are meant")
            return " ".join(words.split())[:AUDIENCE_CHARACTERS]

        return self._asked("family_groups.describe", described)

    def families(self, chosen: Mapping[str, str]) -> Collection[int]:
        """See `Group.families`."""

        def found() -> list[int]:
            numbers = list(islice(self._held.families(chosen), MAX_FAMILIES + 1))
            if len(numbers) > MAX_FAMILIES:
                raise ContractError(f"gave more than {MAX_FAMILIES} families")
            if not all(type(one) is int for one in numbers):
                raise ContractError("gave something else than families' numbers")
            return numbers

        return self._asked("family_groups.families", found)

    def _asked(self, what: str, call: Callable[[], Any]) -> Any:
        held = self._held
        try:
            return contain(held.plugin, what, call, town=self._town, passing=(UserError,))
        except FaultError as error:
            raise UserError(
                _("L’extension « %(name)s » n’a pas répondu : réessayez plus tard.")
                % {"name": held.plugin}
            ) from error


class Groups:
    """The groups of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        brought: Callable[[], Mapping[str, HeldGroup]],
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._brought = brought

    def all(self) -> dict[str, Group]:
        """Every group by key: core's, then the plugins' (``planning.booked``)."""
        regies = tuple((key, regie.label) for key, regie in self._town.file.regies.items())
        group = partial(OwnGroup, session=self._session)
        found: dict[str, Group] = {
            ALL: group(
                _("Toutes les familles"),
                (),
                lambda _chosen: _("Toutes les familles"),
                lambda _chosen: self._living(),
            ),
            REGIE: group(
                _("Les familles d’une régie"),
                (GroupField("regie", _("Régie"), regies),),
                lambda chosen: _("Familles de la régie %(regie)s")
                % {"regie": self._town.regie_label(chosen["regie"])},
                self._of_regie,
            ),
            OPEN: group(
                _("Les familles qui ont une facture à régler"),
                (GroupField("regie", _("Régie"), regies, is_optional=True),),
                self._words_of_open,
                self._with_open,
            ),
        }
        return found | {
            key: PluginGroup(held, self._tenant) for key, held in self._brought().items()
        }

    def get(self, key: str) -> Group:
        """One group.

        Raises:
            UserError: there is none of this key (any more).
        """
        found = self.all().get(key)
        if found is None:
            raise UserError(_("Choisissez à qui écrire."))
        return found

    def checked(self, key: str, given: Mapping[str, str]) -> dict[str, str]:
        """Values of a group's fields, as the group takes them.

        Raises:
            UserError: one is missing, or none of those that there are.
        """
        chosen = {}
        for field in self.get(key).fields:
            value = given.get(field.key, "").strip()
            if not value and not field.is_optional:
                raise UserError(_("Il manque un choix : %(field)s.") % {"field": field.label})
            if value and field.choices and value not in dict(field.choices):
                raise UserError(_("Ce choix n’existe plus : %(field)s.") % {"field": field.label})
            if value and not field.choices:
                try:
                    value = parse_day(value).isoformat()
                except DateError:
                    raise UserError(
                        _("Cette date n’existe pas, ou n’est pas entre 2000 et 2100.")
                    ) from None
            chosen[field.key] = value
        return chosen

    def _living(self) -> list[ColumnElement[bool]]:
        """SQL: files that are a family's, and not erased."""
        holds = [
            exists().where(model.tenant_id == Family.tenant_id, model.family_id == Family.id)
            for model in (AccessCode, ContactEmail)
        ]
        return [
            Family.tenant_id == self._tenant,
            Family.merged_into.is_(None),
            or_(Family.name != "", func.cardinality(Family.address) > 0, *holds),
        ]

    def _of_regie(self, chosen: Mapping[str, str]) -> list[ColumnElement[bool]]:
        if chosen["regie"] not in self._town.file.regies:
            raise NotFoundError
        day = today(self._clock.now())
        since = day.replace(year=day.year - 1, day=1)
        return [
            *self._living(),
            exists().where(
                Invoice.tenant_id == Family.tenant_id,
                Invoice.family_id == Family.id,
                Invoice.regie == chosen["regie"],
                Invoice.state.in_((InvoiceState.PUBLISHED, InvoiceState.HANDED_OVER)),
                Invoice.issued_on >= since,
            ),
        ]

    def _with_open(self, chosen: Mapping[str, str]) -> list[ColumnElement[bool]]:
        regie = chosen.get("regie", "")
        return [
            *self._living(),
            exists().where(
                Invoice.tenant_id == Family.tenant_id,
                Invoice.family_id == Family.id,
                *((Invoice.regie == regie,) if regie else ()),
                Invoice.state == InvoiceState.PUBLISHED,
                Invoice.left > 0,
            ),
        ]

    def _words_of_open(self, chosen: Mapping[str, str]) -> str:
        if chosen.get("regie"):
            return _("Familles qui ont une facture à régler – %(regie)s") % {
                "regie": self._town.regie_label(chosen["regie"])
            }
        return _("Familles qui ont une facture à régler")
