"""The workers of all hosts, as they register themselves, combined with the runs that they hold."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, delete, func, select

from lab.runs.context import StoreContext
from lab.runs.database import Moment
from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.runs.row_changes import insert_for
from lab.runs.rows import SILENT_S, derive, lease_holds
from lab.runs.serving import is_serving
from lab.runs.tables import runs, workers

SEEN_S = 5.0  # how often a waiting worker renews its row; one in training renews its run's lease instead
SINGLE = ("lab-", "run ")  # slot prefixes of workers that train a single run (`lab.worker.single`)
FORGET_S = 86_400.0  # rows not renewed for a day are deleted
_HELD = ("id", "host", "slot", "device", "state", "want", "pid", "pid_start", "lease_until", "executor")


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One worker. slot: as in `leases.claim`. engine: `lab.config.ENGINE` of its code, 0 if unknown.

    slots: the number of slots of its host, 0 if unknown. run: the run that it trains, "" for none.
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
        """Whether it was started for a single run, outside the slots of its host."""
        return self.slot.startswith(SINGLE)


class StoredWorkers:
    """`RunStore.workers`: the workers of all hosts."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def announce(self, worker: WorkerRecord) -> int:
        """Register a worker, in place of the previous one in its slot; return how many workers wait for a run.

        Workers in training do not register, so they are not counted.
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
        """Delete the row of a worker, unless another worker has its slot by now."""
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
        """Return the workers by host and slot, with the runs they hold; those that vanished are not `alive`."""
        held = select(*(runs.c[name] for name in _HELD)).where(runs.c.state == RunState.RUNNING)
        with self.context.database.read() as connection:
            moment = self.context.moment(connection)
            known = connection.execute(select(workers)).all()
            running = [row for row in connection.execute(held) if _is_held(row, moment)]
        found = {(row.host, row.slot): _record(row, moment) for row in known}
        for row in running:
            key = (row.host, row.slot)
            owner = Owner(row.host, row.pid, row.pid_start)
            # A worker of an earlier release does not register.
            there = found.get(key) or WorkerRecord(owner, row.slot, row.device or row.slot, engine=0, slots=0)
            found[key] = replace(there, owner=owner, alive=True, run=row.id)
        return tuple(found[key] for key in sorted(found))


def _is_held(row: Row[Any], moment: Moment) -> bool:
    """Return whether a worker holds a run; False for a damaged row, whose checksum is verified where runs are listed."""
    try:
        return isinstance(row.slot, str) and derive(row, moment=moment)[0].in_training
    except (ValueError, TypeError):
        return False


def _record(row: Row[Any], moment: Moment) -> WorkerRecord:
    owner = Owner(row.host, row.pid, row.pid_start)
    lives = is_serving(owner, moment.database)
    if lives is None:
        lives = lease_holds(row.seen_at + SILENT_S, moment.now)
    return WorkerRecord(owner, row.slot, row.device, row.engine, row.slots, alive=lives)
