"""One SQLite dialect for all engines of a process, and one cache of compiled statements.

SQLAlchemy keeps what it compiled for each engine, because a dialect may differ from another; each test opens a store of its own,
and compiling the same statements anew for each of them took a tenth of the tests' processor time.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

_compiled: dict[Any, Any] = {}
_dialects: dict[tuple[tuple[str, Any], ...], "SharedDialect"] = {}


class SharedDialect(SQLiteDialect_pysqlite):
    """The dialect that `create_engine` gets for `sqlite://`: the one it had before where the arguments are the same."""

    supports_statement_cache = True
    _asked = False

    def __new__(cls, **arguments: Any) -> "SharedDialect":
        """Return the dialect of these arguments."""
        return _dialects.setdefault(tuple(sorted(arguments.items())), super().__new__(cls))

    def __init__(self, **arguments: Any) -> None:
        """Set it up, the first time only: `create_engine` calls this for each engine."""
        if not hasattr(self, "dbapi"):
            super().__init__(**arguments)

    def initialize(self, connection: Connection) -> None:
        """Ask the linked SQLite what it is, the first time only: `create_engine` has each engine's first connection ask."""
        if not self._asked:
            super().initialize(connection)
            self._asked = True


def share() -> None:
    """Let all engines that this process makes from now on share what is compiled."""
    registry.register("sqlite", __name__, SharedDialect.__name__)

    @event.listens_for(Engine, "engine_connect")
    def _share(connection: Connection) -> None:
        if isinstance(connection.dialect, SharedDialect):
            connection.execution_options(compiled_cache=_compiled)
