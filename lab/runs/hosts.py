"""Which machines may train for this store: those that joined, those that are drained, and why one is refused.

A host without a row belongs to the lab and may train. A claim checks its host in its own transaction (`accepts`), so
that no worker can claim a run after its host was drained or removed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import metadata
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from lab.config import ENGINE
from lab.errors import HostStateError, JoinRefusedError
from lab.runs.context import StoreContext
from lab.runs.row_changes import insert_for
from lab.runs.rows import SILENT_S, lease_holds
from lab.runs.tables import hosts, lab_release, workers

_RELEASE = 1  # the number of the only row


class HostState(StrEnum):
    """What a host may do. DRAINING: it returns its runs to the queue and takes no others."""

    ACTIVE = "active"
    DRAINING = "draining"
    REFUSED = "refused"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class HostRecord:
    """One host that joined or was drained.

    slots: (name, device) of each. torch: its release without the build tag, such as "2.11.0". boot: the boot id of its
    system, "" if unknown. lacks: data sets of waiting runs that it can neither read nor download. machines: how many
    joined machines are alive; only `renew` counts them.
    """

    host: str
    state: HostState = HostState.ACTIVE
    reason: str = ""
    joined: bool = False
    engine: int = 0
    torch: str = ""
    boot: str = ""
    slots: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset()
    alive: bool = True
    machines: int = 1


@dataclass(frozen=True, slots=True)
class Release:
    """What determines a result besides the configuration: the version of the engine and the release of torch."""

    engine: int
    torch: str

    @classmethod
    def of_this_machine(cls) -> "Release":
        """Return what is installed here, without importing torch; the build tag ("+cpu") is left out."""
        return cls(ENGINE, metadata.version("torch").partition("+")[0])


class Hosts:
    """`RunStore.hosts`: machines that joined, and what each may do."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def set_release(self, release: Release, *, host: str) -> None:
        """Record the lab's own release; joined machines with another release are refused from now on.

        host: one of the lab's own hosts, which is recorded as such.
        """
        with self.context.database.write() as connection:
            now = self.context.moment(connection).now
            own = insert_for(connection)(hosts).values(
                host=host, state=HostState.ACTIVE, slots=[], lacks=[], seen_at=now
            )
            connection.execute(own.on_conflict_do_nothing(index_elements=["host"]))
            made = insert_for(connection)(lab_release).values(
                number=_RELEASE, engine=release.engine, torch=release.torch
            )
            values = {"engine": release.engine, "torch": release.torch}
            connection.execute(made.on_conflict_do_update(index_elements=["number"], set_=values))
            joined = select(hosts).where(hosts.c.joined == 1, hosts.c.state != HostState.REMOVED)
            for row in connection.execute(joined.with_for_update()).all():
                reason = _mismatch(release, Release(row.engine, row.torch))
                if reason:
                    change = update(hosts).where(hosts.c.host == row.host)
                    connection.execute(change.values(state=HostState.REFUSED, reason=reason))

    def join(self, record: HostRecord) -> None:
        """Let a machine take runs, whatever its state was. Raises `JoinRefusedError` and records a mismatch."""
        with self.context.database.write() as connection:
            now = self.context.moment(connection).now
            if _is_own(connection, record.host):
                raise JoinRefusedError(
                    "This machine belongs to the lab, so it does not need to join: run `convlab worker` without --join "
                    "here, or remove it with `convlab machines remove` first."
                )
            if _has_namesake(connection, record, now):
                # Not recorded: the row belongs to the other machine.
                name = record.host.partition(" ")[0]
                raise JoinRefusedError(
                    f"Another machine named {name!r} already trains for this lab, and machines are told apart by name: "
                    "give this one another host name."
                )
            release = _release(connection)
            reason = _mismatch(release, Release(record.engine, record.torch)) if release else ""
            values = {
                "state": HostState.REFUSED if reason else HostState.ACTIVE,
                "reason": reason,
                "joined": 1,
                "engine": record.engine,
                "torch": record.torch,
                "boot": record.boot,
                "slots": [list(slot) for slot in record.slots],
                "lacks": [],
                "seen_at": now,
            }
            made = insert_for(connection)(hosts).values(host=record.host, **values)
            connection.execute(made.on_conflict_do_update(index_elements=["host"], set_=values))
        if reason:
            raise JoinRefusedError(reason)

    def renew(self, host: str, *, slots: Sequence[tuple[str, str]], lacks: Iterable[str]) -> HostRecord:
        """Renew the registration of a joined machine and return what it may do now; without a row it is REMOVED."""
        with self.context.database.write() as connection:
            now = self.context.moment(connection).now
            values = {"slots": [list(slot) for slot in slots], "lacks": sorted(lacks), "seen_at": now}
            change = update(hosts).where(hosts.c.host == host).values(**values).returning(*hosts.columns)
            row = connection.execute(change).one_or_none()
            there = select(func.count()).where(hosts.c.joined == 1, hosts.c.seen_at.between(now - SILENT_S, now))
            machines = int(connection.execute(there).scalar_one())
        return HostRecord(host, HostState.REMOVED) if row is None else replace(_record(row, now), machines=machines)

    def leave(self, host: str) -> None:
        """Delete the row of a joined machine that exits; one that is draining, refused or removed keeps its row."""
        with self.context.database.write() as connection:
            mine = (hosts.c.host == host) & (hosts.c.joined == 1) & (hosts.c.state == HostState.ACTIVE)
            connection.execute(delete(hosts).where(mine))

    def find(self, host: str) -> HostRecord | None:
        """Return the record of a host, or None if it neither joined nor was drained."""
        with self.context.database.read() as connection:
            now = self.context.moment(connection).now
            row = connection.execute(select(hosts).where(hosts.c.host == host)).one_or_none()
        return None if row is None else _record(row, now)

    def list(self) -> tuple[HostRecord, ...]:
        """Return the hosts that joined or were drained, except the removed ones."""
        with self.context.database.read() as connection:
            now = self.context.moment(connection).now
            listed = select(hosts).where(hosts.c.state != HostState.REMOVED).order_by(hosts.c.host)
            return tuple(_record(row, now) for row in connection.execute(listed))

    def has_joined(self) -> bool:
        """Return whether a joined machine, which shares no files with the lab, may train for it."""
        asked = select(hosts.c.host).where(hosts.c.joined == 1, hosts.c.state == HostState.ACTIVE).limit(1)
        with self.context.database.read() as connection:
            return connection.execute(asked).first() is not None

    def count_joined_slots(self) -> int:
        """Return the number of slots of the joined machines that are alive and may take runs."""
        asked = select(hosts.c.slots, hosts.c.seen_at).where(hosts.c.joined == 1, hosts.c.state == HostState.ACTIVE)
        with self.context.database.read() as connection:
            now = self.context.moment(connection).now
            rows = connection.execute(asked).all()
        return sum(len(row.slots) for row in rows if lease_holds(row.seen_at + SILENT_S, now))

    def drain(self, host: str) -> None:
        """Make a host return its runs to the queue at their next step and take no others. Raises `HostStateError`."""
        with self.context.database.write() as connection:
            now = self.context.moment(connection).now
            row = connection.execute(select(hosts).where(hosts.c.host == host).with_for_update()).one_or_none()
            if row is None:
                connection.execute(
                    hosts.insert().values(host=host, state=HostState.DRAINING, slots=[], lacks=[], seen_at=now)
                )
            elif row.state == HostState.ACTIVE:
                connection.execute(update(hosts).where(hosts.c.host == host).values(state=HostState.DRAINING))
            elif row.state != HostState.DRAINING:
                raise HostStateError(
                    f"The host {host.partition(' ')[0]} is {row.state}, so it takes no runs: let it join again first."
                )

    def undrain(self, host: str) -> None:
        """Let a drained host take runs again."""
        with self.context.database.write() as connection:
            mine = (hosts.c.host == host) & (hosts.c.state == HostState.DRAINING)
            connection.execute(delete(hosts).where(mine, hosts.c.joined == 0))
            connection.execute(update(hosts).where(mine).values(state=HostState.ACTIVE))

    def remove(self, host: str) -> None:
        """Remove a host: it returns its runs to the queue and takes no others until it joins again."""
        with self.context.database.write() as connection:
            now = self.context.moment(connection).now
            values = {"state": HostState.REMOVED, "reason": ""}
            made = insert_for(connection)(hosts).values(host=host, slots=[], lacks=[], seen_at=now, **values)
            connection.execute(made.on_conflict_do_update(index_elements=["host"], set_=values))
            connection.execute(delete(workers).where(workers.c.host == host))

    def readmit(self, host: str) -> None:
        """Let one of the lab's own hosts take runs again after it was removed while silent."""
        with self.context.database.write() as connection:
            gone = (hosts.c.host == host) & (hosts.c.joined == 0) & (hosts.c.state == HostState.REMOVED)
            connection.execute(delete(hosts).where(gone))


def accepts(connection: Connection, host: str) -> bool:
    """Return whether a host may train, as seen by this transaction."""
    state = connection.execute(select(hosts.c.state).where(hosts.c.host == host)).scalar_one_or_none()
    return state in (None, HostState.ACTIVE)


def boot_of(pid_start: str) -> str:
    """Return the boot id in the start of a process (`lab.runs.owner`), or "" if it is unknown."""
    boot, sign, _ = pid_start.partition(":")
    return boot if sign else ""


def joined_hosts(connection: Connection) -> frozenset[str]:
    """Return the hosts that joined, including those that were removed later."""
    return frozenset(connection.execute(select(hosts.c.host).where(hosts.c.joined == 1)).scalars())


def _release(connection: Connection) -> Release | None:
    row = connection.execute(select(lab_release)).one_or_none()
    return None if row is None else Release(row.engine, row.torch)


def _mismatch(lab: Release, machine: Release) -> str:
    """Return why a machine with this release may not train for the lab, or "" if it may."""
    if machine.engine != lab.engine:
        return (
            f"This machine's ConvLab has engine {machine.engine} and the lab's has engine {lab.engine}, which give "
            "different numbers for the same settings: install the lab's release of ConvLab here and join again."
        )
    if machine.torch != lab.torch:
        return (
            f"This machine has torch {machine.torch} and the lab has torch {lab.torch}, whose results differ in the "
            f"last bits: install torch=={lab.torch} here and join again."
        )
    return ""


def _is_own(connection: Connection, host: str) -> bool:
    own = select(hosts.c.host).where(hosts.c.host == host, hosts.c.joined == 0, hosts.c.state != HostState.REMOVED)
    return connection.execute(own).first() is not None


def _has_namesake(connection: Connection, record: HostRecord, now: float) -> bool:
    """Return whether a live machine with this name has another boot id, which makes it a different machine."""
    row = connection.execute(select(hosts).where(hosts.c.host == record.host)).one_or_none()
    boots = {row.boot} if row is not None and lease_holds(row.seen_at + SILENT_S, now) else set()
    named = select(workers.c.pid_start, workers.c.seen_at).where(workers.c.host == record.host)
    for pid_start, seen_at in connection.execute(named):
        if lease_holds(seen_at + SILENT_S, now):
            boots.add(boot_of(pid_start))
    return bool(record.boot) and bool(boots - {"", record.boot})


def _record(row: Row[Any], now: float) -> HostRecord:
    return HostRecord(
        host=row.host,
        state=HostState(row.state),
        reason=row.reason,
        joined=bool(row.joined),
        engine=row.engine,
        torch=row.torch,
        boot=row.boot,
        slots=tuple((str(slot), str(device)) for slot, device in row.slots),
        lacks=frozenset(row.lacks),
        alive=lease_holds(row.seen_at + SILENT_S, now),
    )
