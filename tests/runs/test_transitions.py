"""Every request to a run in every state: a table of the resulting states and of the messages of refusals."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lab.errors import LabError
from lab.runs.owner import Owner
from lab.runs.queue_moves import Move
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.rows import LEASE_S
from lab.runs.store import RunStore
from tests.runs.conftest import Clock, Process
from tests.runs.runs_data import submit


@dataclass(frozen=True, slots=True)
class Scene:
    """Brings runs of a store into a state. me: a live owner; start: starts another, which can be killed."""

    store: RunStore
    clock: Clock
    me: Owner
    start: Callable[[], Process]
    key: str

    def queued(self, *, executor: str = "") -> RunRecord:
        return submit(self.store, self.key, executor=executor)

    def running(self, owner: Owner | None = None, *, executor: str = "") -> RunRecord:
        run = self.queued(executor=executor)
        taken = self.store.leases.claim(slot=self.key, owner=owner or self.me, run=run.id)
        assert taken is not None
        return taken

    def ended(self, state: RunState) -> RunRecord:
        run = self.running()
        return self.store.leases.finish(run.id, run.lease, state=state, reason="because")

    def requested(self, request: RunRequest) -> RunRecord:
        return self.store.leases.request(self.running().id, request)

    def orphaned(self, request: RunRequest = RunRequest.RUN, *, executor: str = "") -> RunRecord:
        """Return a run whose owner was killed, before anything has noticed it."""
        worker = self.start()
        run = self.running(worker.owner, executor=executor)
        self.store.leases.request(run.id, request)
        worker.kill()
        return run

    def silent(self) -> RunRecord:
        """Return a run whose owner is alive but has not renewed its lease."""
        run = self.running(self.start().owner)
        self.clock.now += LEASE_S + 1
        return run

    def deleted(self) -> RunRecord:
        return self.store.removal.delete(self.ended(RunState.PAUSED).id)


STATES: dict[str, Callable[[Scene], RunRecord]] = {
    "queued": lambda scene: scene.queued(),
    "running": lambda scene: scene.running(),
    "asked to pause": lambda scene: scene.requested(RunRequest.PAUSE),
    "asked to stop": lambda scene: scene.requested(RunRequest.STOP),
    "silent": lambda scene: scene.silent(),
    "paused": lambda scene: scene.ended(RunState.PAUSED),
    "stopped": lambda scene: scene.ended(RunState.STOPPED),
    "interrupted": lambda scene: scene.ended(RunState.INTERRUPTED),
    "failed": lambda scene: scene.ended(RunState.FAILED),
    "finished": lambda scene: scene.ended(RunState.FINISHED),
    "orphaned": lambda scene: scene.orphaned(),
    "orphaned pausing": lambda scene: scene.orphaned(RunRequest.PAUSE),
    "orphaned stopping": lambda scene: scene.orphaned(RunRequest.STOP),
    "orphaned by an executor": lambda scene: scene.orphaned(executor="slurm"),
    "deleted": lambda scene: scene.deleted(),
}
# One state of each kind is tested in every run, the others among the long tests.
_FAST = ("queued", "running", "asked to pause", "silent", "paused", "finished", "left")


def _state_text(run: RunRecord) -> str:
    return run.state.value + ("" if run.requested is RunRequest.RUN else f", to {run.requested.value}")


def _bound(scene: Scene, run: RunRecord, executor: str) -> str:
    before = scene.store.runs.get(run.id)
    after = scene.store.jobs.bind(run.id, executor)
    assert (after.state, after.requested) in ((before.state, before.requested), (before.state, RunRequest.RUN))
    return f"at {after.executor or 'a host'}"


def _again(scene: Scene, run: RunRecord, *, fresh: bool = False) -> str:
    answer, cached = scene.store.queue.submit(run.config, fingerprint=run.fingerprint, family="", fresh=fresh)
    assert cached == (answer.id == run.id)
    return _state_text(answer) if cached else "another"


def _claimed(scene: Scene, run: RunRecord) -> str:
    taken = scene.store.leases.claim(slot="another", owner=scene.me, run=run.id)
    return "nothing" if taken is None else _state_text(taken)


def _moved(scene: Scene, run: RunRecord) -> str:
    first = scene.store.queue.move(run.id, Move.FRONT)[0]
    assert first.id == run.id
    return _state_text(first)


REQUESTS: dict[str, Callable[[Scene, RunRecord], str]] = {
    "pause": lambda scene, run: _state_text(scene.store.leases.request(run.id, RunRequest.PAUSE)),
    "stop": lambda scene, run: _state_text(scene.store.leases.request(run.id, RunRequest.STOP)),
    "resume": lambda scene, run: _state_text(scene.store.leases.request(run.id, RunRequest.RUN)),
    "delete": lambda scene, run: _state_text(scene.store.removal.delete(run.id)),
    "undelete": lambda scene, run: _state_text(scene.store.removal.undelete(run.id)),
    "submit again": _again,
    "submit fresh": lambda scene, run: _again(scene, run, fresh=True),
    "to an executor": lambda scene, run: _bound(scene, run, "ray"),
    "to a host": lambda scene, run: _bound(scene, run, ""),
    "prioritize": lambda scene, run: _state_text(scene.store.queue.prioritize(run.id, 5)),
    "move": _moved,
    "claim": _claimed,
}
# Request, states before it, and the result; "others": all states that no line above names.
TABLE = """
pause | queued, orphaned by an executor | paused
pause | running, asked to stop, silent | running, to pause
pause | asked to pause, paused | unchanged
pause | orphaned pausing | paused
pause | finished | Run X is finished, so it cannot be paused: train it again as a new run.
pause | stopped, orphaned stopping | Run X is stopped, so it cannot be paused: resume it first, or leave it as it is.
pause | interrupted, orphaned | Run X is interrupted, so it cannot be paused: resume it first, or leave it as it is.
pause | failed | Run X is failed, so it cannot be paused: resume it first, or leave it as it is.
stop | running, asked to pause, silent | stopping, to stop
stop | asked to stop, stopped | unchanged
stop | failed | Run X is failed, so it cannot be stopped: resume it first, or leave it as it is.
stop | finished | Run X is finished, so it cannot be stopped: train it again as a new run.
stop | others | stopped
resume | queued, running, orphaned by an executor | unchanged
resume | asked to pause, asked to stop | running
resume | finished | Run X is finished, so it cannot be resumed: train it again as a new run.
resume | others | queued
delete | running, asked to pause, silent | Run X is running, so it cannot be deleted: stop it first.
delete | asked to stop | Run X is stopping, so it cannot be deleted: wait until it has stopped.
delete | queued, orphaned by an executor, orphaned stopping | stopped
delete | orphaned pausing | paused
delete | others | unchanged
undelete | others | unchanged
submit again | queued, running, asked to pause, asked to stop, silent, finished, orphaned by an executor | unchanged
submit again | others | another
submit fresh | others | another
to an executor | running, asked to pause, silent | Run X is running, so it cannot be moved elsewhere: pause it first.
to an executor | asked to stop | Run X is stopping, so it cannot be moved elsewhere: wait until it has stopped.
to an executor | finished | Run X is finished, so it cannot be moved elsewhere: train it again as a new run.
to an executor | others | at ray
to a host | others | at a host
prioritize | finished | Run X is finished, so its priority is irrelevant: give a queued run another priority.
prioritize | others | unchanged
move | queued, orphaned by an executor | unchanged
move | running, asked to pause, silent | Run X is running, so it has no place in the queue: move a queued run.
move | asked to stop | Run X is stopping, so it has no place in the queue: move a queued run.
move | paused, orphaned pausing | Run X is paused, so it has no place in the queue: move a queued run.
move | stopped, orphaned stopping | Run X is stopped, so it has no place in the queue: move a queued run.
move | interrupted, orphaned | Run X is interrupted, so it has no place in the queue: move a queued run.
move | failed | Run X is failed, so it has no place in the queue: move a queued run.
move | finished | Run X is finished, so it has no place in the queue: move a queued run.
claim | queued, orphaned by an executor | running
claim | others | nothing
"""
_LINES = [tuple(part.strip() for part in line.split(" | ")) for line in TABLE.strip().splitlines()]
_NOT_FOUND = "There is no run 'X': the Runs page and `python -m lab runs` list all runs."
_OF_DELETED = {"undelete": "paused", "submit again": "another", "submit fresh": "another", "claim": "nothing"}


def _expected(name: str, state: str) -> str:
    if state == "deleted":
        return _OF_DELETED.get(name, _NOT_FOUND)
    lines = {states: outcome for request, states, outcome in _LINES if request == name}
    return next((lines[states] for states in lines if state in states.split(", ")), lines.get("others", ""))


@pytest.mark.parametrize(
    "state", [pytest.param(state, marks=[] if state in _FAST else [pytest.mark.long]) for state in STATES]
)
def test_every_request_to_a_run_has_the_result_of_the_table(
    store: RunStore, clock: Clock, me: Owner, process: Callable[[], Process], state: str
) -> None:
    found, expected = {}, {}
    for name, request in REQUESTS.items():
        scene = Scene(store, clock, me, process, key=name)
        run = STATES[state](scene)
        before = "" if state == "deleted" else _state_text(store.runs.get(run.id))
        expected[name] = _expected(name, state).replace("unchanged", before)
        try:
            found[name] = request(scene, run)
        except LabError as error:
            found[name] = str(error).replace(run.id, "X")
    assert found == expected
