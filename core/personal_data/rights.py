"""Acts on a whole family are for agents of the whole town."""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.api.errors import UserError
from core.platform.db.limits import regies_of
from core.platform.i18n import gettext as _


def need_whole_town(session: Session) -> None:
    """Let only those act who see all of a family.

    Raises:
        UserError: the agent's rights end at some régies, and the family's file does not.
    """
    if regies_of(session) is not None:
        raise UserError(
            _(
                "Vos droits portent sur certaines régies : un agent de toute la commune peut faire"
                " ceci."
            )
        )
