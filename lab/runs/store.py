"""The run store: the only record of requested runs, their owners and their results. The contract is in `lab.runs`."""

from collections.abc import Callable

from sqlalchemy import select

from lab.errors import StoreError
from lab.runs.context import StoreContext
from lab.runs.database import BUSY_S, Database
from lab.runs.edits import Edits
from lab.runs.findings import StoredFindings
from lab.runs.history import History
from lab.runs.hosts import Hosts
from lab.runs.imports import Imports
from lab.runs.integrity import Integrity
from lab.runs.jobs import StoredJobs
from lab.runs.leases import Leases
from lab.runs.points import Points
from lab.runs.removal import Removal
from lab.runs.results import Results
from lab.runs.run_logs import RunLogs
from lab.runs.run_lookup import RunLookup
from lab.runs.run_queue import RunQueue
from lab.runs.saved_files import SavedFiles
from lab.runs.schema import migrate, require_newest
from lab.runs.shared_data import SharedData
from lab.runs.sketches import Sketches
from lab.runs.sweeps import StoredSweeps
from lab.runs.tables import runs
from lab.runs.workers import StoredWorkers


class RunStore:
    """Runs, their points and their files in one database. Safe to use from any thread and any process.

    Each part is responsible for one subject. All parts share one `StoreContext`, and none calls another.
    """

    def __init__(self, context: StoreContext) -> None:
        self.context = context
        self.runs = RunLookup(context)
        self.queue = RunQueue(context)
        self.leases = Leases(context)
        self.points = Points(context)
        self.files = SavedFiles(context)
        self.history = History(context)
        self.results = Results(context)
        self.findings = StoredFindings(context)
        self.edits = Edits(context)
        self.removal = Removal(context)
        self.imports = Imports(context)
        self.sketches = Sketches(context)
        self.sweeps = StoredSweeps(context)
        self.workers = StoredWorkers(context)
        self.jobs = StoredJobs(context)
        self.hosts = Hosts(context)
        self.shared_data = SharedData(context)
        self.logs = RunLogs(context)
        self.integrity = Integrity(context)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        read_only: bool = False,
        clock: Callable[[], float] | None = None,
        busy_s: float = BUSY_S,
        migrating: bool = True,
    ) -> "RunStore":
        """Open the store at an SQLAlchemy URL; create or migrate it if necessary.

        migrating: False to refuse a store of an older release, as a machine that only joins a lab does. clock: returns
        seconds since the epoch and replaces the store's own time (`Database.moment`). busy_s: how long a write waits
        for another process. Raises `StoreError`, `StoreVersionError` or `StoreBusyError`.
        """
        database = Database(url, read_only=read_only, busy_s=busy_s)
        try:
            if migrating:
                migrate(database)
            else:
                require_newest(database)
        except StoreError:
            database.close()
            raise
        return cls(StoreContext(database, clock))

    @property
    def database(self) -> Database:
        """The database shared by all parts."""
        return self.context.database

    def close(self) -> None:
        """Close this process's connections; the store can still be used afterwards."""
        self.database.close()

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self.database.read_only

    def ping(self) -> None:
        """Run a trivial query. Raises `StoreBusyError` if the store does not respond."""
        with self.database.read() as connection:
            connection.execute(select(runs.c.number).limit(1)).all()

    def now(self) -> float:
        """Return the current time on the store's clock, the only clock to compare the store's times with."""
        return self.context.now()
