"""A connection that takes many statements at once.

Every call of aiosqlite is a hop to its thread and back, 60 to 100 us; the writes of a transaction
are a dozen statements. ``executemany`` with ``TOGETHER`` runs them all in one hop, and with
``AT_ONCE`` commits them in the same one.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TOGETHER: Final = "-- together"
"""Says that the parameters are statements, each with its rows."""
AT_ONCE: Final = "-- together, and commit"
"""The same, and that they are the whole transaction."""
Statements: TypeAlias = "Sequence[tuple[str, list[tuple[object, ...]] | None]]"
"""Each with its rows, or with None if it has no parameters and is run once."""


class Connection(sqlite3.Connection):
    """As SQLite's, and knows ``TOGETHER`` and ``AT_ONCE``."""

    @override
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Run ``sql`` for each row; or, where it is one of the two, each statement for its rows."""
        if sql not in (TOGETHER, AT_ONCE):
            return super().executemany(sql, parameters)
        cursor = self.cursor()
        for statement, rows in parameters:
            if rows is None:
                cursor.execute(statement)
            else:
                cursor.executemany(statement, rows)
        if sql == AT_ONCE:
            self.commit()
        return cursor
