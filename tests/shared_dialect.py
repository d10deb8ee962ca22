"""One SQLite dialect for all engines of a process, and one cache of compiled statements.

SQLAlchemy caches compiled statements per engine, because dialects may differ. Each test opens its own store, and
compiling the same statements again for each of them took a tenth of the processor time of the tests.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

_compiled: dict[Any, Any] = {}
_dialects: dict[tuple[tuple[str, Any], ...], "SharedDialect"] = {}


class SharedDialect(SQLiteDialect_pysqlite):
    """The dialect that `create_engine` gets for `sqlite://`: one for all engines with the same arguments."""

    supports_statement_cache = True
    _initialized = False

    def __new__(cls, **arguments: Any) -> "SharedDialect":
        """Return the dialect for these arguments."""
        return _dialects.setdefault(tuple(sorted(arguments.items())), super().__new__(cls))

    def __init__(self, **arguments: Any) -> None:
        """Initialize the dialect on the first call only: `create_engine` calls this for each engine."""
        if not hasattr(self, "dbapi"):
            super().__init__(**arguments)

    def initialize(self, connection: Connection) -> None:
        """Query the linked SQLite only once: `create_engine` does so for the first connection of each engine."""
        if not self._initialized:
            super().initialize(connection)
            self._initialized = True


def share() -> None:
    """Let all engines that this process creates from now on share compiled statements."""
    registry.register("sqlite", __name__, SharedDialect.__name__)

    @event.listens_for(Engine, "engine_connect")
    def _share(connection: Connection) -> None:
        if isinstance(connection.dialect, SharedDialect):
            connection.execution_options(compiled_cache=_compiled)
