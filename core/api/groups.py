"""Groups of families that a plugin knows, for the messages that agents write to many families."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.api.checked import Checked


@dataclass(frozen=True, slots=True)
class GroupField(Checked):
    """Something that an agent chooses to say which families of a group are meant.

    `choices` are values with their labels; without any, the agent names a day, and the value is its
    ISO date. An optional field that is left alone has the value "".
    """

    key: str
    label: str
    choices: tuple[tuple[str, str], ...] = ()
    is_optional: bool = False


class FamilyGroup(Protocol):
    """A way to name families, such as "children booked on a day at the canteen"."""

    key: str
    """A name within the plugin."""
    label: str
    """A few words for the list of groups, in the language of now."""
    fields: Sequence[GroupField]
    """What the agent chooses; `choices` are of now."""

    def describe(self, chosen: Mapping[str, str]) -> str:
        """Say in a phrase which families are meant: "Enfants inscrits à la cantine le 12/12"."""
        ...

    def families(self, chosen: Mapping[str, str]) -> Collection[int]:
        """Give the numbers of the families that are meant at this moment.

        Every home of a child is one of them. Core asks when the agent looks at the message, and
        again when it leaves.
        """
        ...
