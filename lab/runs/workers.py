"""Which workers there are: written down by themselves, and read beside the runs that they hold."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, delete, func, select

from lab.runs.context import StoreContext
from lab.runs.database import Moment
from lab.runs.owner import Owner, is_alive
from lab.runs.records import RunState
from lab.runs.row_changes import insert_for
from lab.runs.rows import SILENT_S, derive, lease_holds
from lab.runs.tables import runs, workers

SEEN_S = 5.0  # how often a waiting worker says that it is there; one that trains renews its run's lease instead
SINGLE = ("lab-", "run ")  # how the slots of workers begin that train one run only (`lab.worker.single`)
FORGET_S = 86_400.0  # what was not seen for a day is taken off the table
_HELD = ("id", "host", "slot", "device", "state", "want", "pid", "pid_start", "lease_until", "executor")


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One worker. slot: as `leases.claim` has it. engine: `lab.config.ENGINE`, 0 where it is not known.

    slots: how many its host has, 0 where it is not known. run: what it trains, "" for nothing.
    """

    owner: Owner
    slot: str
    device: str
    engine: int
    slots: int
    alive: bool = True
    run: str = ""

    @property
    def single(self) -> bool:
        """Whether it was started for one run only, and is in no slot of its host."""
        return self.slot.startswith(SINGLE)


class StoredWorkers:
    """`RunStore.workers`: the workers of all hosts."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def announce(self, worker: WorkerRecord) -> int:
        """Write down that a worker is there, in place of the one that had its slot before; return how many wait for a run.

        Those that train announce nothing, so they are not among them.
        """
        key = {"host": worker.owner.host, "slot": worker.slot}
        with self.context.database.write() as connection:
            now = self.context.moment(connection).now
            values = {
                "pid": worker.owner.pid,
                "pid_start": worker.owner.pid_start,
                "device": worker.device,
                "engine": worker.engine,
                "slots": worker.slots,
                "seen_at": now,
            }
            made = insert_for(connection)(workers).values(**key, **values)
            connection.execute(made.on_conflict_do_update(index_elements=["host", "slot"], set_=values))
            connection.execute(delete(workers).where(workers.c.seen_at < now - FORGET_S))
            there = select(func.count()).where(workers.c.seen_at.between(now - SILENT_S, now))
            return int(connection.execute(there).scalar_one())

    def leave(self, worker: WorkerRecord) -> None:
        """Take a worker off the table, unless another one has its slot by now."""
        owner = worker.owner
        with self.context.database.write() as connection:
            connection.execute(
                delete(workers).where(
                    workers.c.host == owner.host,
                    workers.c.slot == worker.slot,
                    workers.c.pid == owner.pid,
                    workers.c.pid_start == owner.pid_start,
                )
            )

    def list(self) -> tuple[WorkerRecord, ...]:
        """Return the workers by host and slot, with the runs they hold; those that ended without a word are not `alive`."""
        held = select(*(runs.c[name] for name in _HELD)).where(runs.c.state == RunState.RUNNING)
        with self.context.database.read() as connection:
            moment = self.context.moment(connection)
            known = connection.execute(select(workers)).all()
            running = [row for row in connection.execute(held) if _is_held(row, moment)]
        found = {(row.host, row.slot): _record(row, moment) for row in known}
        for row in running:
            key = (row.host, row.slot)
            owner = Owner(row.host, row.pid, row.pid_start)
            # A worker of an earlier release writes nothing down.
            there = found.get(key) or WorkerRecord(owner, row.slot, row.device or row.slot, engine=0, slots=0)
            found[key] = replace(there, owner=owner, alive=True, run=row.id)
        return tuple(found[key] for key in sorted(found))


def _is_held(row: Row[Any], moment: Moment) -> bool:
    return derive(row, moment=moment)[0] in (RunState.RUNNING, RunState.STOPPING)


def _record(row: Row[Any], moment: Moment) -> WorkerRecord:
    owner = Owner(row.host, row.pid, row.pid_start)
    lives = is_alive(owner)
    if lives is None:
        lives = lease_holds(row.seen_at + SILENT_S, moment.now)
    return WorkerRecord(owner, row.slot, row.device, row.engine, row.slots, alive=lives)
