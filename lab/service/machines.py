"""Which hosts train for this lab, in which slots and what; and which runs wait, each with the reason."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from lab.config import ENGINE
from lab.data.load import is_present
from lab.data.registry import get_dataset_spec
from lab.formatting import plural
from lab.runs.owner import this_host
from lab.runs.records import RunRecord, RunState
from lab.runs.store import RunStore
from lab.runs.workers import WorkerRecord
from lab.service.jobs import Jobs
from lab.settings import Settings
from lab.worker.supervisor.launch import is_running
from lab.worker.supervisor.slots import count_slots, host_slots, likely_device, store_slots

NOBODY = "no worker is alive on any host: open the lab, or start one with `convlab worker`"
STARTING = "a worker is starting"
SOON = "a worker takes it within a second"


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot. run: what is trained there, None for nothing. alive: whether it has a worker process now.

    surplus: whether it is gone, and its worker ends after its run. job: of a worker that an engine started for this run
    only, what people call its job; it is no slot of the host.
    """

    slot: str
    device: str
    run: str | None
    alive: bool
    surplus: bool = False
    job: str = ""


@dataclass(frozen=True, slots=True)
class HostView:
    """One host. alive: whether a worker lives there. engine: of its code, 0 where it is not known. here: this machine."""

    host: str
    alive: bool
    engine: int
    slots: tuple[SlotView, ...]
    here: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued run, and in one sentence why it is not in training."""

    run: RunRecord
    why: str


@dataclass(frozen=True, slots=True)
class MachinesView:
    """All hosts, this one first, and the queued runs in their order."""

    hosts: tuple[HostView, ...]
    waiting: tuple[Waiting, ...]


class Machines:
    """Shows hosts and slots, and changes the number of slots of this host."""

    def __init__(self, settings: Settings, store: Callable[[], RunStore]) -> None:
        self._settings, self._store = settings, store
        self.jobs = Jobs(settings, store)

    def show(self, *, limit: int | None = None) -> MachinesView:
        """Return hosts, slots and waiting runs as they are now. limit: of the runs that are looked at."""
        store, here = self._store(), this_host()
        workers = store.workers.list()
        elsewhere = sorted({worker.owner.host for worker in workers} - {here})
        hosts = (
            self._this_host([worker for worker in workers if worker.owner.host == here]),
            *(_other_host(host, [worker for worker in workers if worker.owner.host == host]) for host in elsewhere),
        )
        queued = [run for run in store.queue.list(limit=limit) if run.state is RunState.QUEUED]
        bound = self.jobs.why(queued, supervised=any(run.executor for run in queued) and self._is_supervised())
        found = {entry.run.id: entry for entry in self._waiting([run for run in queued if not run.executor], hosts)}
        waiting = (Waiting(run, bound[run.id]) if run.executor else found[run.id] for run in queued)
        return MachinesView(_with_short_names(map(self._with_jobs, hosts)), tuple(waiting))

    @property
    def slots(self) -> int:
        """How many runs this host trains at once."""
        return count_slots(self._settings)

    @property
    def slots_fixed(self) -> bool:
        """Whether `LAB_SLOTS` decides, so that the number cannot be changed here."""
        return bool(self._settings.slots)

    def set_slots(self, count: int) -> None:
        """Change the number of slots of this host: new workers start at once, surplus ones end after their run.

        Raises `ConfigError`, `ReadOnlyError`.
        """
        store_slots(self._settings, count)

    def _with_jobs(self, host: HostView) -> HostView:
        """Return a host whose workers of one run have the names of their jobs."""
        named = (
            replace(slot, job=self.jobs.title(slot.run or "") or slot.slot) if slot.job else slot for slot in host.slots
        )
        return replace(host, slots=tuple(named))

    def _this_host(self, workers: Sequence[WorkerRecord]) -> HostView:
        live = {worker.slot: worker for worker in workers if worker.alive}
        views = []
        for slot in host_slots(self._settings):
            device = likely_device(slot.device)
            worker = live.pop(slot.name(device), None)
            views.append(_slot(worker) if worker else SlotView(slot.name(device), device, None, alive=False))
        views += [replace(_slot(worker), surplus=not worker.single) for worker in live.values()]
        return HostView(this_host(), any(view.alive for view in views), ENGINE, tuple(views), here=True)

    def _waiting(self, queued: Sequence[RunRecord], hosts: Sequence[HostView]) -> tuple[Waiting, ...]:
        slots = [slot for host in hosts for slot in host.slots if slot.alive and not slot.surplus and not slot.job]
        busy = sum(slot.run is not None for slot in slots)
        free = len(slots) - busy
        starting = sum(not slot.alive for host in hosts if host.here for slot in host.slots)
        # Elsewhere it may be there; only a host itself can look.
        local = not any(host.alive for host in hosts if not host.here)
        absent = {
            dataset
            for dataset in {run.config.dataset for run in queued if local}
            if not is_present(dataset, root=self._settings.data)
        }
        nobody = "" if slots else STARTING if self._is_supervised() else NOBODY
        found = []
        for place, run in enumerate(queued):
            if run.config.dataset in absent:
                title = get_dataset_spec(run.config.dataset).title
                why = f"its data set, {title}, is not on this machine: fetch it, or the run will fail"
            elif nobody or place < free + starting:
                why = nobody or (SOON if place < free else STARTING)
            else:
                why = behind_words(run, queued[:place], busy=busy)
            found.append(Waiting(run, why))
        return tuple(found)

    def _is_supervised(self) -> bool:
        """Whether a supervisor lives here, which starts a worker; asking takes a lock in the lab's home for a moment."""
        return not self._settings.read_only and self._settings.home.is_dir() and is_running(self._settings)


def behind_words(run: RunRecord, before: Sequence[RunRecord], *, busy: int) -> str:
    """Say how many runs are taken before a queued one, and of those that were not there before it, why.

    before: in the queue. busy: runs in training. Such as "behind 3 runs: 1 of higher priority, 2 of ann, who was served
    longer ago".
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
    """Say whose runs go first although they were queued later."""
    if len(turns) > 1:
        return "whose owners were served longer ago"
    owner = next(iter(turns), "") or "nobody in particular"
    return f"of {owner}, who was served longer ago"


def _other_host(host: str, workers: Sequence[WorkerRecord]) -> HostView:
    alive = any(worker.alive for worker in workers)
    engine = max(worker.engine for worker in workers)
    return HostView(host, alive, engine, tuple(_slot(worker) for worker in workers), here=False)


def _slot(worker: WorkerRecord) -> SlotView:
    job = worker.slot if worker.single else ""
    return SlotView(worker.slot, worker.device, worker.run or None, worker.alive, job=job)


def _with_short_names(hosts: Iterable[HostView]) -> tuple[HostView, ...]:
    """Return hosts by their network names; two containers of one name keep what tells them apart."""
    hosts = tuple(hosts)
    names = [host.host.partition(" ")[0] for host in hosts]
    return tuple(
        replace(host, host=name) if names.count(name) == 1 else host for host, name in zip(hosts, names, strict=True)
    )
