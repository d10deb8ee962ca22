"""The hosts that train for this lab, their slots and runs; the waiting runs with the reasons; and control of hosts."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.config import ENGINE
from lab.data.load import is_present
from lab.data.registry import get_dataset_spec
from lab.errors import ConfigError, UnknownNameError, near_miss
from lab.formatting import plural
from lab.lazy import load
from lab.runs.artifacts import ArtifactStore
from lab.runs.hosts import HostRecord, HostState
from lab.runs.owner import this_host
from lab.runs.records import RunRecord
from lab.runs.store import RunStore
from lab.runs.workers import WorkerRecord
from lab.service.jobs import Jobs
from lab.settings import Settings
from lab.worker.supervisor.failures import read_failing
from lab.worker.supervisor.launch import is_supervised, log_path, suspension
from lab.worker.supervisor.slots import count_slots, host_slots, likely_device, store_slots

NOBODY = "no worker is alive on any host: open the lab, or start one with `convlab worker`"
STARTING = "a worker is starting"
FAILING = "workers end as soon as they start{reason}: see {log}"
ALL_DRAINED = "every machine is drained: let one take runs again with `convlab machines drain HOST --undo`"
SOON = "a worker takes it within a second"


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot. run: the id of the run trained there, None for none. alive: whether it has a worker process now.

    surplus: whether the slot was removed, so that its worker exits after its run. job: the title of the job if an
    executor started the worker for a single run; such a worker is not in a slot of the host.
    """

    slot: str
    device: str
    run: str | None
    alive: bool
    surplus: bool = False
    job: str = ""


@dataclass(frozen=True, slots=True)
class HostView:
    """One host. alive: whether a worker runs there. engine: version of its code, 0 if unknown. here: this machine.

    state, reason: what it may do, and why not. joined: with a token; such a host registers itself. name: its full name,
    as in the store. lacks: data sets of waiting runs that it can neither read nor download.
    """

    host: str
    alive: bool
    engine: int
    slots: tuple[SlotView, ...]
    here: bool
    state: HostState = HostState.ACTIVE
    reason: str = ""
    joined: bool = False
    name: str = ""
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued run, and why it is not in training, in one sentence. job: the title of its job at an executor, or ""."""

    run: RunRecord
    why: str
    job: str = ""


@dataclass(frozen=True, slots=True)
class MachinesView:
    """All hosts, this one first, and the queued runs in their order."""

    hosts: tuple[HostView, ...]
    waiting: tuple[Waiting, ...]


class Machines:
    """Shows hosts and slots, changes the number of slots of this host, and controls which hosts may train."""

    def __init__(
        self, settings: Settings, store: Callable[[], RunStore], artifacts: Callable[[], ArtifactStore]
    ) -> None:
        self._settings, self._store, self._artifacts = settings, store, artifacts
        self.jobs = Jobs(settings, store)

    def show(self, *, limit: int | None = None) -> MachinesView:
        """Return the current hosts, slots and waiting runs. limit: the number of waiting runs, from the first."""
        store, here = self._store(), this_host()
        workers = store.workers.list()
        known = {record.host: record for record in store.hosts.list()}
        # The lab's own machines are listed by their workers; a row only states what such a machine may do.
        listed = {host for host, record in known.items() if record.joined or record.state is not HostState.ACTIVE}
        elsewhere = sorted(({worker.owner.host for worker in workers} | listed) - {here})
        hosts = (
            _with_record(self._this_host([worker for worker in workers if worker.owner.host == here]), known.get(here)),
            *(_other_host(host, [w for w in workers if w.owner.host == host], known.get(host)) for host in elsewhere),
        )
        queued = store.queue.list_waiting(limit=limit)
        bound = self.jobs.why(queued, supervised=any(run.executor for run in queued) and self._is_supervised())
        found = {entry.run.id: entry for entry in self._waiting([run for run in queued if not run.executor], hosts)}
        single = [slot.run for host in hosts for slot in host.slots if slot.job and slot.run]
        titles = self.jobs.titles([*single, *bound])
        waiting = (
            Waiting(run, bound[run.id], titles.get(run.id, "")) if run.executor else found[run.id] for run in queued
        )
        return MachinesView(_with_short_names(_with_jobs(host, titles) for host in hosts), tuple(waiting))

    @property
    def slots(self) -> int:
        """How many runs this host trains at the same time."""
        return count_slots(self._settings)

    @property
    def slots_fixed(self) -> bool:
        """Whether `LAB_SLOTS` sets the number, so that it cannot be changed here."""
        return bool(self._settings.slots)

    def set_slots(self, count: int) -> None:
        """Change the number of slots of this host: new workers start at once, surplus ones exit after their run.

        Raises `ConfigError` or `ReadOnlyError`.
        """
        store_slots(self._settings, count)

    def make_token(self, *, database: str = "", artifacts: str = "") -> str:
        """Return the token for joining another machine (`lab.service.joining.make_token`)."""
        return str(
            load("lab.service.joining:make_token")(
                self._settings, self._store(), self._artifacts(), database=database, place=artifacts
            )
        )

    def drain(self, host: str) -> None:
        """Make a host return its runs to the queue and take no others. Raises `ConfigError` for an unknown one."""
        self._settings.require_writable()
        self._store().hosts.drain(self.resolve(host).name)

    def undrain(self, host: str) -> None:
        """Let a drained host take runs again. Raises `ConfigError` for an unknown one."""
        self._settings.require_writable()
        self._store().hosts.undrain(self.resolve(host).name)

    def remove(self, host: str) -> None:
        """Remove a host from the list until it joins again.

        Raises `ConfigError` for an unknown host, and for a live one of the lab's own, which would register again.
        """
        self._settings.require_writable()
        view = self.resolve(host)
        if view.here or (view.alive and not view.joined):
            raise ConfigError(
                f"{view.host} is one of the lab's own machines and alive, so it cannot be removed: drain it, or stop "
                "its worker there."
            )
        self._store().hosts.remove(view.name)

    def resolve(self, host: str) -> HostView:
        """Return the listed host with a name, short or full. Raises `UnknownNameError`."""
        hosts = self.show(limit=0).hosts
        found = next((view for view in hosts if host in (view.host, view.name)), None)
        if found is None:
            raise UnknownNameError(f"There is no host {host!r}. {near_miss(host, [view.host for view in hosts])}")
        return found

    def _this_host(self, workers: Sequence[WorkerRecord]) -> HostView:
        live = {worker.slot: worker for worker in workers if worker.alive}
        views = []
        for slot in host_slots(self._settings):
            device = likely_device(slot.device)
            worker = live.pop(slot.name(device), None)
            views.append(_slot(worker) if worker else SlotView(slot.name(device), device, None, alive=False))
        views += [replace(_slot(worker), surplus=not worker.single) for worker in live.values()]
        alive = any(view.alive for view in views)
        return HostView(this_host(), alive, ENGINE, tuple(views), here=True, name=this_host())

    def _waiting(self, queued: Sequence[RunRecord], hosts: Sequence[HostView]) -> tuple[Waiting, ...]:
        usable = [host for host in hosts if host.state is HostState.ACTIVE]
        slots = [slot for host in usable for slot in host.slots if slot.alive and not slot.surplus and not slot.job]
        busy = sum(slot.run is not None for slot in slots)
        free = len(slots) - busy
        begins = [host for host in usable if host.here or (host.joined and host.alive)]
        starting = sum(not slot.alive for host in begins for slot in host.slots)
        nobody = "" if slots else self._nobody(hosts, usable)
        starts = self._failing() or STARTING
        absent = {dataset: self._absence(dataset, usable) for dataset in {run.config.dataset for run in queued}}
        found = []
        for place, run in enumerate(queued):
            if absence := absent[run.config.dataset]:
                why = absence
            elif nobody or place < free + starting:
                why = nobody or (SOON if place < free else starts)
            else:
                why = behind_words(run, queued[:place], busy=busy)
            found.append(Waiting(run, why))
        return tuple(found)

    def _nobody(self, hosts: Sequence[HostView], usable: Sequence[HostView]) -> str:
        """Return why no worker claims anything now."""
        if hosts and not usable:
            return ALL_DRAINED
        if any(host.joined and host.alive for host in usable):
            return STARTING
        return self._failing() or ((suspension(self._settings) or STARTING) if self._is_supervised() else NOBODY)

    def _failing(self) -> str:
        """Return the reason, with the log, if workers of this host exit at their start; else ""."""
        reason = read_failing(self._settings)
        if reason is None:
            return ""
        return FAILING.format(reason=f" ({reason})" if reason else "", log=log_path(self._settings))

    def _absence(self, dataset: str, hosts: Sequence[HostView]) -> str:
        """Return why a run of this data set waits, or "" if every host that trains has the data set or can download it.

        Another one of the lab's own hosts may have it; only the host itself can check.
        """
        try:
            title, present = get_dataset_spec(dataset).title, is_present(dataset, root=self._settings.data)
        except UnknownNameError:  # queued by another release
            return f"its data set, {dataset}, is unknown to this release: update ConvLab, or stop the run"
        alive = [host for host in hosts if host.here or host.alive]
        without = [host for host in alive if dataset in host.lacks or (host.here and not present)]
        with_it = [host for host in alive if host not in without]
        if not with_it and any(host.here for host in alive):
            return f"its data set, {title}, is not on this machine: fetch it, or the run will fail"
        if not with_it and alive:
            return f"its data set, {title}, is on no machine that trains: fetch it on one of the lab's own"
        free = any(slot.alive and slot.run is None and not slot.surplus for host in with_it for slot in host.slots)
        if without and with_it and not free:
            return f"its data set, {title}, is only on {', '.join(_short(host.host) for host in with_it)} so far"
        return ""

    def _is_supervised(self) -> bool:
        """Return whether a supervisor, which starts workers, runs on this machine; the check briefly locks a file."""
        return not self._settings.read_only and self._settings.home.is_dir() and is_supervised(self._settings)


def behind_words(run: RunRecord, before: Sequence[RunRecord], *, busy: int) -> str:
    """Return how many runs are taken before a queued one, and why those queued later are among them.

    before: the runs ahead of it in the queue. busy: the number of runs in training. Example: "behind 3 runs: 1 of
    higher priority, 2 of ann, who was served longer ago".
    """
    total = plural(len(before) + busy, "run")
    more = sum(one.priority > run.priority for one in before)
    turns = Counter(
        one.owner
        for one in before
        if one.priority == run.priority and one.owner != run.owner and one.queued_at > run.queued_at
    )
    passing = sum(turns.values())
    whose = _whose(turns)
    if more + passing == len(before) + busy and not (more and turns):
        return f"behind {total} {'of higher priority' if more else whose}"
    reasons = [f"{more} of higher priority"] * bool(more) + [f"{passing} {whose}"] * bool(turns)
    return f"behind {total}" + (f": {', '.join(reasons)}" if reasons else "")


def _whose(turns: Counter[str]) -> str:
    """Return the owners whose runs go first although they were queued later, as text."""
    if len(turns) > 1:
        return "whose owners were served longer ago"
    owner = next(iter(turns), "")
    return f"of {owner}, who was served longer ago" if owner else "without an owner, served longer ago"


def _other_host(host: str, workers: Sequence[WorkerRecord], record: HostRecord | None) -> HostView:
    alive = any(worker.alive for worker in workers)
    engine = max((worker.engine for worker in workers), default=0)
    slots = {worker.slot: _slot(worker) for worker in workers}
    if record is not None and record.joined:
        alive, engine = alive or record.alive, record.engine
        for slot, device in record.slots:  # a slot without a worker is listed as well
            slots.setdefault(slot, SlotView(slot, device, None, alive=False))
    view = HostView(host, alive, engine, tuple(slots[name] for name in sorted(slots)), here=False, name=host)
    return _with_record(view, record)


def _with_jobs(host: HostView, titles: Mapping[str, str]) -> HostView:
    """Return a host whose single-run workers have the titles of their jobs."""
    named = (replace(slot, job=titles.get(slot.run or "", slot.slot)) if slot.job else slot for slot in host.slots)
    return replace(host, slots=tuple(named))


def _with_record(view: HostView, record: HostRecord | None) -> HostView:
    if record is None:
        return view
    return replace(view, state=record.state, reason=record.reason, joined=record.joined, lacks=frozenset(record.lacks))


def _slot(worker: WorkerRecord) -> SlotView:
    job = worker.slot if worker.single else ""
    return SlotView(worker.slot, worker.device, worker.run or None, worker.alive, job=job)


def _with_short_names(hosts: Iterable[HostView]) -> tuple[HostView, ...]:
    """Return the hosts with their network names; two containers with one name keep their full names."""
    hosts = tuple(hosts)
    names = [_short(host.host) for host in hosts]
    return tuple(
        replace(host, host=name) if names.count(name) == 1 else host for host, name in zip(hosts, names, strict=True)
    )


def _short(host: str) -> str:
    return host.partition(" ")[0]
