"""A machine that shares only a network with the lab: it joins, trains, loses its cable, is drained and removed."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from lab.config import ENGINE, RunConfig
from lab.data.local import write_local_dataset
from lab.data.recipes import MNIST
from lab.data.registry import IMPORTED, get_dataset_spec
from lab.runs.artifacts import IN_DATABASE
from lab.runs.hosts import HostState, Release
from lab.runs.owner import Owner, this_host
from lab.runs.records import WEIGHTS, RunRecord, RunState
from lab.runs.rows import FOREIGN_GRACE_S, LEASE_S
from lab.service.lab import Lab
from lab.service.machines import HostView
from lab.settings import CHECKOUT
from lab.worker.execution import execute
from tests.cluster.machines import LAB, Machine, Network, two_machines
from tests.lab_copy import change, copy_lab
from tests.postgres import PostgresServer, started_server
from tests.worker.worker_runs import open_lab, train

pytestmark = pytest.mark.cluster
TRAINING_S = 25.0  # long enough for events in the middle of it
APPEARS_S = 5.0
NEW_POINTS_S = 2.0
OF_THE_MACHINE = {"memory_mb", "images_per_second"}  # curves that depend on the machine, not on the training
_SLOW_S = 240.0  # the longest that anything here may take on a busy machine


@dataclass
class World:
    """The lab with its database server, and the commands on the other machine."""

    network: Network
    server: PostgresServer
    lab: Lab
    folder: Path
    dataset: str
    token: str
    epochs: int = 1  # as many as take about TRAINING_S on this machine under its current load
    machines: list[Machine] = field(default_factory=list)

    def start(self, name: str, *, token: str = "", code: Path = CHECKOUT) -> Machine:
        """Let another machine join, with its own home."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LAB_")}
        environment |= {"LAB_HOME": str(home), "LAB_DEVICE": "cpu", "PYTHONPATH": str(code), "HOME": str(home)}
        words = [sys.executable, "-m", "lab", "worker", "--join", token or self.token]
        log = self.folder / f"{name}.log"
        log.touch()
        machine = self.network.start(["env", "-C", str(code), *words], host=name, environment=environment, log=log)
        self.machines.append(machine)
        return machine

    def host(self, name: str) -> HostView | None:
        """Return what the lab shows of a machine, None if it is not listed."""
        return next((host for host in self.lab.machines.show().hosts if host.host == name), None)

    def config(self, **more: object) -> RunConfig:
        """Return settings that train on the imported data set for about `TRAINING_S`."""
        return RunConfig(
            **{
                "arch": "lenet5",
                "dataset": self.dataset,
                "batch_size": 32,
                "epochs": self.epochs,
                "device": "cpu",
                **more,
            }
        )

    def queue(self, *, published: bool = True, **more: object) -> RunRecord:
        """Queue a new run. published: store its data set for the other machines, as the supervisor of the lab does."""
        run = self.lab.submissions.submit(self.lab.validation.resolve(self.config(**more)), fresh=True).run
        if published:
            self.lab.shared_datasets.publish_waiting()
        return run

    def run(self, run: RunRecord) -> RunRecord:
        """Return the current record of a run."""
        return self.lab.store.runs.get(run.id)

    def trains_on(self, run: RunRecord, name: str) -> bool:
        """Return whether a machine has trained some steps of a run."""
        host = self.host(name)
        held = host is not None and any(slot.run == run.id for slot in host.slots)
        return held and (self.run(run).progress.step or 0) > 0

    def finished(self, run: RunRecord) -> RunRecord:
        """Wait until a run has ended and return it."""
        wait_for(lambda: self.run(run).state.over, f"run {run.id} ends")
        return self.run(run)


def wait_for(happened: Callable[[], bool], what: str, *, limit_s: float = _SLOW_S) -> float:
    """Wait until something has happened and return how long that took."""
    since = time.monotonic()
    while not happened():
        assert time.monotonic() - since < limit_s, f"it took more than {limit_s:.0f} s until {what}"
        time.sleep(0.05)
    return time.monotonic() - since


def load_factor() -> float:
    """Return the load per core, at least 1: what takes a second on an idle machine takes so many seconds now."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def make_dataset(root: Path) -> str:
    """Write the built-in digits as an imported data set: only the machine that imported it has it."""
    return write_local_dataset(IMPORTED, get_dataset_spec("digits").reader.read(()), recipe=MNIST, root=root)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("cluster")
    with two_machines() as network, started_server(address=LAB) as server:
        lab = open_lab(folder / "lab", LAB_DATABASE=server.new_database(), LAB_ARTIFACTS=IN_DATABASE, LAB_DEVICE="cpu")
        dataset = make_dataset(lab.settings.data)
        world = World(network, server, lab, folder, dataset, lab.machines.make_token())
        yield world
        for machine in world.machines:
            machine.switch_off()
        lab.store.close()


@pytest.fixture
def far(world: World) -> Iterator[Machine]:
    """Yield a machine that has joined and is alive."""
    machine = world.start("node-b")
    wait_for(lambda: (host := world.host("node-b")) is not None and host.alive, "the machine is listed")
    yield machine
    machine.switch_off()
    world.network.plug()  # in case the test failed before it did
    world.lab.machines.remove("node-b")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, world: World) -> tuple[Lab, RunRecord]:
    """Return the same training without another machine, in a lab with its own SQLite store."""
    lab = open_lab(tmp_path_factory.mktemp("alone"), LAB_DEVICE="cpu")
    make_dataset(lab.settings.data)
    short = train(lab, world.config(epochs=3, seed=1))
    world.epochs = max(8, min(100, round(TRAINING_S / (short.seconds / 3))))
    return lab, train(lab, world.config())


def assert_equal_bits(world: World, run: RunRecord, alone: tuple[Lab, RunRecord]) -> None:
    """Compare the weights and every point of a run with those of the training on one machine."""
    other, expected = alone
    assert (run.state, run.reason) == (RunState.FINISHED, "")
    weights = [
        [(file.step, file.sha256) for file in lab.store.files.list(found.id, kind=WEIGHTS)]
        for lab, found in ((world.lab, run), (other, expected))
    ]
    assert weights[0] == weights[1]
    points, expected_points = world.lab.store.points.read(run.id), other.store.points.read(expected.id)
    assert points.keys() == expected_points.keys()
    for name, series in points.items():
        np.testing.assert_array_equal(series.step, expected_points[name].step, err_msg=name)
        if name not in OF_THE_MACHINE:
            np.testing.assert_array_equal(series.value, expected_points[name].value, err_msg=name)


def test_a_machine_joins_and_is_listed_within_five_seconds(world: World) -> None:
    machine = world.start("node-a")
    took = wait_for(lambda: (host := world.host("node-a")) is not None and host.alive, "the machine is listed")
    print(f"joined and listed after {took:.1f} s")
    host = world.host("node-a")
    assert host is not None
    assert [(slot.slot, slot.device) for slot in host.slots] == [("cpu", "cpu")]
    assert (host.joined, host.engine, host.state) == (True, ENGINE, HostState.ACTIVE)
    assert took <= APPEARS_S * load_factor()
    machine.interrupt()
    wait_for(lambda: machine.process.poll() is not None, "it has exited")
    assert machine.process.returncode == 0, machine.output
    assert world.host("node-a") is None


def test_a_machine_fetches_the_data_set_and_trains_bit_identically_with_live_points(
    world: World, far: Machine, alone: tuple[Lab, RunRecord]
) -> None:
    run = world.queue(published=False)
    wait_for(
        lambda: world.dataset in (world.host("node-b") or pytest.fail("the machine is not listed")).lacks,
        "it reports the missing data set",
    )
    (waiting,) = world.lab.machines.show().waiting
    assert waiting.why == f"its data set, Imported digits, is only on {this_host().partition(' ')[0]} so far"
    assert world.run(run).state is RunState.QUEUED
    world.lab.shared_datasets.publish_waiting()
    wait_for(lambda: world.trains_on(run, "node-b"), "it trains")
    seen, changed, longest = 0, time.monotonic(), 0.0
    while not world.run(run).state.over:
        step = world.run(run).progress.step or 0
        if step != seen:
            seen, changed = step, time.monotonic()
        longest = max(longest, time.monotonic() - changed)
        time.sleep(0.02)
    print(f"the newest step was never older than {longest:.2f} s")
    assert longest <= NEW_POINTS_S * load_factor()
    assert_equal_bits(world, world.finished(run), alone)
    log = world.lab.store.logs.read(run.id)
    assert log is not None
    assert log.host.startswith("node-b ")
    assert any(f"epoch {world.epochs}," in line for line in log.lines)


def test_a_cable_that_is_unplugged_for_some_seconds_does_not_affect_a_run(
    world: World, far: Machine, alone: tuple[Lab, RunRecord]
) -> None:
    run = world.queue()
    wait_for(lambda: world.trains_on(run, "node-b"), "it trains")
    world.network.pull()
    time.sleep(6.0)
    world.network.plug()
    ended = world.finished(run)
    assert ended.attempts == 1
    assert_equal_bits(world, ended, alone)


def test_a_run_behind_a_pulled_cable_is_reassigned_and_nothing_is_written_twice(
    world: World, far: Machine, alone: tuple[Lab, RunRecord]
) -> None:
    run = world.queue()
    wait_for(lambda: world.trains_on(run, "node-b") and bool(world.lab.store.files.list(run.id)), "it has saved")
    world.network.pull()
    since = time.monotonic()

    def queued_again() -> bool:
        world.lab.store.leases.recover()
        return world.run(run).state is RunState.QUEUED

    wait_for(queued_again, "the run is queued again", limit_s=LEASE_S + FOREIGN_GRACE_S + 10)
    print(f"queued again {time.monotonic() - since:.1f} s after the cable was pulled")
    taken = world.lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert taken is not None
    world.network.plug()  # the first worker comes back while another one trains the run
    execute(world.lab, taken, ending=threading.Event())
    ended = world.finished(run)
    assert ended.attempts == 2
    assert_equal_bits(world, ended, alone)
    wait_for(lambda: (host := world.host("node-b")) is not None and host.alive, "the machine is back")
    again = world.queue(epochs=2)
    assert world.finished(again).state is RunState.FINISHED


def test_restarting_the_database_server_during_training_loses_nothing(
    world: World, far: Machine, alone: tuple[Lab, RunRecord]
) -> None:
    run = world.queue()
    wait_for(lambda: world.trains_on(run, "node-b"), "it trains")
    before = world.lab.store.points.read(run.id)
    world.server.stop()
    time.sleep(3.0)
    world.server.start()
    ended = world.finished(run)
    assert ended.attempts == 1
    after = world.lab.store.points.read(run.id)
    for name, series in before.items():  # acknowledged points are still stored
        np.testing.assert_array_equal(after[name].value[: len(series.value)], series.value)
    assert_equal_bits(world, ended, alone)


def test_a_drained_machine_hands_its_run_back_and_resumes_it_after_undraining(
    world: World, far: Machine, alone: tuple[Lab, RunRecord]
) -> None:
    run = world.queue()
    wait_for(lambda: world.trains_on(run, "node-b"), "it trains")
    world.lab.machines.drain("node-b")
    took = wait_for(lambda: world.run(run).state is RunState.QUEUED, "the run is handed back")
    print(f"handed back {took:.1f} s after the drain")
    step = world.run(run).progress.step
    time.sleep(2.0)
    assert world.run(run).state is RunState.QUEUED
    host = world.host("node-b")
    assert host is not None
    assert (host.state, host.alive) == (HostState.DRAINING, True)
    world.lab.machines.undrain("node-b")
    ended = world.finished(run)
    assert ended.attempts == 2
    assert (step or 0) > 0
    assert_equal_bits(world, ended, alone)


def test_a_removed_machine_exits_with_a_message_and_returns_by_joining_again(world: World) -> None:
    machine = world.start("node-c")
    wait_for(lambda: (host := world.host("node-c")) is not None and host.alive, "the machine is listed")
    world.lab.machines.remove("node-c")
    assert world.host("node-c") is None
    wait_for(lambda: machine.process.poll() is not None, "it has exited")
    assert "This machine was removed from the lab: `convlab worker --join` lets it return." in machine.output
    world.start("node-c")
    wait_for(lambda: (host := world.host("node-c")) is not None and host.alive, "the machine is back")
    world.lab.machines.remove("node-c")


def test_a_machine_with_another_engine_is_refused_in_its_terminal_and_in_the_list(world: World, tmp_path: Path) -> None:
    code = copy_lab(tmp_path)
    change(code / "lab" / "config" / "identity.py", {"\nENGINE = 1 ": "\nENGINE = 2 "})
    machine = world.start("node-d", code=code)
    wait_for(lambda: machine.process.poll() is not None, "it has exited")
    assert machine.process.returncode == 1
    sentence = "This machine's ConvLab has engine 2 and the lab's has engine 1, which give different numbers"
    assert sentence in machine.output
    host = world.host("node-d")
    assert host is not None
    assert (host.state, host.alive, host.reason[: len(sentence)]) == (HostState.REFUSED, True, sentence)
    world.lab.machines.remove("node-d")


def test_machines_with_an_older_release_are_refused_after_the_lab_was_updated(world: World) -> None:
    machine = world.start("node-e")
    wait_for(lambda: (host := world.host("node-e")) is not None and host.alive, "the machine is listed")
    mine = Release.of_this_machine()
    world.lab.store.hosts.set_release(Release(ENGINE, "99.0"), host=this_host())
    try:
        run = world.queue(epochs=1)
        wait_for(lambda: machine.process.poll() is not None, "it has exited")
        assert f"This machine has torch {mine.torch} and the lab has torch 99.0" in machine.output
        assert world.run(run).state is RunState.QUEUED
        world.lab.store.removal.delete(run.id)
    finally:
        world.lab.store.hosts.set_release(mine, host=this_host())
        world.lab.machines.remove("node-e")
