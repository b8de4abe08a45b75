"""Statistics of tables into which one transaction writes more than they held.

PostgreSQL multiplies the pages of a table by the rows that it last counted on one. Where it counted
while none was there for good (an import that was undone, another that was under way), that is zero
for any number of pages: every index then seems to lead to one row, and each foreign key may be
checked in an index that holds the town's rows together. Rows are then read in their square.
"""

from __future__ import annotations

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.orm import Session

FIRST = 100
"""Rows after which tables are counted: few enough to be read in their square."""

_COUNT = text("SELECT count_anew(:tables)").bindparams(bindparam("tables", type_=ARRAY(Text())))
_JOINS = text("SELECT set_config('enable_nestloop', :value, true)")


def count_anew(session: Session, *tables: str) -> None:
    """Let PostgreSQL count the rows of `tables`, those of this transaction too.

    Until its end nobody else counts them, who would see none of its rows.
    """
    session.execute(_COUNT, {"tables": list(tables)})


def join_as_sets(session: Session, value: bool) -> None:
    """Read each side of a join once, whatever number of rows PostgreSQL expects.

    For statements whose joins compare by equality, until it is called with False.
    """
    session.execute(_JOINS, {"value": "off" if value else "on"})
