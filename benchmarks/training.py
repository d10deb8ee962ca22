"""Speed of the training engine, compared with a plain loop, PyTorch's own example and the network's upper limit.

    LAB_DATA=... python -m benchmarks.training [--arch lenet5 ...] [--updates 60] [--repeats 15] [--threads 1]

Four contestants take the same number of updates on the same network (batch 64, float32, Adam), taking turns in one run,
in another order in each repeat. The engine's allocator settings apply to a whole process, so engine and limit run in
one process, set up like a worker, and the two ordinary loops in another one with default settings:

- engine: `lab.training.engine.train` as run by the worker, consuming all events; from the first step to the last step's
  metrics (evaluation and files are not part of the other loops either);
- plain: torchvision's MNIST, `DataLoader`, the loop of every tutorial;
- example: the structure of github.com/pytorch/examples `mnist/main.py` (log-softmax and NLL, a line every 10 batches),
  but with Adam, so that only the loop differs;
- limit: forward, backward and step on one fixed batch, in the best memory layout; on a GPU as one CUDA graph.

On a CPU, times are processor times of the process, which depend less on other work on the machine (on a GPU, wall-clock
times); the wall clock is printed too. A ratio is the median over the repeats of (time of the other / time of the engine in the same repeat), with its
quartiles.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from benchmarks.limit import build_limit
from benchmarks.markdown_tables import heading, row
from benchmarks.quartiles import write_quartiles
from lab.architectures.build import build_network
from lab.checkpoint_files import encode
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.devices import describe_device, keep_big_blocks, resolve_device, synchronise
from lab.seeding import seed_everything
from lab.settings import PROCESS_ENVIRONMENT
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Evaluated, Snapshot, StepMetrics
from lab.training.session import process_settings

BATCH, LR = 64, 1e-3
CONTESTANTS = ("engine", "limit", "plain", "example")
ORDINARY = ("plain", "example")
TARGETS = {"lenet5": 2.4, "basic-cnn": 2.4, "pytorch-example": 1.9}  # times the plain loop
LIMIT_TARGET = 0.95


@dataclass
class Stopwatch:
    """CPU and wall-clock seconds of one contestant, one pair per repeat."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    @contextmanager
    def running(self, device: torch.device) -> Iterator[None]:
        synchronise(device)
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        synchronise(device)
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)


@dataclass(frozen=True)
class Race:
    """The conditions that all contestants share."""

    arch: str
    updates: int
    device: torch.device
    root: Path
    data: ResidentData | None = None  # the engine's

    def network(self) -> nn.Module:
        seed_everything(0)
        return build_network(self.arch).to(self.device)

    def loader(self) -> DataLoader[object]:
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        images = datasets.MNIST(str(self.root), train=True, transform=transform)
        return DataLoader(images, batch_size=BATCH, shuffle=True)


def run_engine(race: Race, watch: Stopwatch) -> None:
    assert race.data is not None
    config = race_config(race.arch, race.updates)
    events = train(config, network=race.network(), data=race.data, device=race.device)
    for event in events:
        if isinstance(event, Evaluated):
            break  # the evaluation before training
    with watch.running(race.device):
        for event in events:
            if isinstance(event, StepMetrics) and event.step[-1] == race.updates:
                break
    for event in events:
        if isinstance(event, Snapshot):
            encode(event.state())


def run_limit(race: Race, watch: Stopwatch) -> None:
    with process_settings(
        race_config(race.arch, race.updates), race.device
    ):  # number formats and algorithms of the engine
        step = build_limit(race.network(), (1, 28, 28), batch=BATCH, lr=LR, device=race.device)
        with watch.running(race.device):
            for _ in range(race.updates):
                step()


def run_plain(race: Race, watch: Stopwatch) -> None:
    network, loader = race.network().train(), race.loader()
    optimizer = torch.optim.Adam(network.parameters(), LR)
    criterion = nn.CrossEntropyLoss()
    running = 0.0
    with watch.running(race.device):
        for step, (images, labels) in enumerate(loader, start=1):
            images, labels = images.to(race.device), labels.to(race.device)
            optimizer.zero_grad()
            loss = criterion(network(images), labels)
            loss.backward()
            optimizer.step()
            running += loss.item()
            if step == race.updates:
                break


def run_example(race: Race, watch: Stopwatch) -> None:
    network, loader = race.network(), race.loader()
    optimizer = torch.optim.Adam(network.parameters(), LR)
    with watch.running(race.device), open(os.devnull, "w", encoding="utf-8") as out:
        network.train()
        for number, (images, target) in enumerate(loader):
            images, target = images.to(race.device), target.to(race.device)
            optimizer.zero_grad()
            loss = F.nll_loss(F.log_softmax(network(images), dim=1), target)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if number % 10 == 0:
                print(f"Train Epoch: 1 [{number * len(images)}/60000]\tLoss: {loss.item():.6f}", file=out)
            if number + 1 == race.updates:
                break


RUNNERS: dict[str, Callable[[Race, Stopwatch], None]] = {
    "engine": run_engine,
    "limit": run_limit,
    "plain": run_plain,
    "example": run_example,
}


def race_config(arch: str, updates: int) -> RunConfig:
    return RunConfig(arch=arch, batch_size=BATCH, lr=LR, epochs=10_000, max_steps=updates, val_fraction=0.0)


def wait_for_turns(connection: Connection, root: Path, device: torch.device, threads: int, as_worker: bool) -> None:
    """Main loop of one side's process: receive (arch, updates, contestant), send (CPU seconds, wall-clock seconds)."""
    torch.set_num_threads(threads)
    data = None
    if as_worker:
        keep_big_blocks()
        data = load_resident(race_config("lenet5", 1), root=root, device=device)
    while (order := connection.recv()) is not None:
        arch, updates, name = order
        watch = Stopwatch()
        RUNNERS[name](Race(arch, updates, device, root, data), watch)
        connection.send((watch.cpu[0], watch.wall[0]))


@contextmanager
def side(root: Path, device: torch.device, threads: int, *, as_worker: bool) -> Iterator[Connection]:
    """Yield the connection to a new process with the environment of a worker or of this process."""
    here, there = get_context("spawn").Pipe()
    before = dict(os.environ)
    os.environ.update({**PROCESS_ENVIRONMENT, **before} if as_worker else {})
    process = get_context("spawn").Process(target=wait_for_turns, args=(there, root, device, threads, as_worker))
    process.start()
    os.environ.clear()
    os.environ.update(before)
    yield here
    here.send(None)
    process.join()


def run_race(race: Race, repeats: int, *, own: Connection, ordinary: Connection) -> dict[str, Stopwatch]:
    """Return the times of the contestants, which take turns; the first round is not counted."""
    watches = {name: Stopwatch() for name in CONTESTANTS}
    for repeat in range(-1, repeats):
        for i in range(len(CONTESTANTS)):
            name = CONTESTANTS[(i + repeat) % len(CONTESTANTS)]
            connection = ordinary if name in ORDINARY else own
            connection.send((race.arch, race.updates, name))
            cpu, wall = connection.recv()
            if repeat >= 0:
                watches[name].cpu.append(cpu)
                watches[name].wall.append(wall)
    return watches


def report(race: Race, watches: dict[str, Stopwatch]) -> str:
    """Return one row of the table: ms per step, and the time of each other contestant divided by the engine's."""
    clock = "cpu" if race.device.type == "cpu" else "wall"
    times = {name: getattr(watch, clock) for name, watch in watches.items()}
    step_ms = statistics.median(times["engine"]) / race.updates * 1e3
    ratios = {
        name: [other / own for other, own in zip(times[name], times["engine"])]
        for name in CONTESTANTS
        if name != "engine"
    }
    wall = [other / own for other, own in zip(watches["plain"].wall, watches["engine"].wall)]
    shown = (ratios["limit"], ratios["plain"], ratios["example"], wall)
    return row(f"`{race.arch}`", f"{step_ms:.2f}", *(write_quartiles(values, 2) for values in shown))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", action="append", choices=list(TARGETS), help="repeat for several; all by default")
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LAB_DATA", ".lab/data")))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = resolve_device(given.device)
    print(", ".join(f"{k} {v}" for k, v in describe_device(device).items()))
    print(f"n = {given.repeats} repeats of {given.updates} updates, batch {BATCH}; median (quartiles)")
    limit, loops = f"of the limit (target {LIMIT_TARGET})", ("× plain loop", "× PyTorch's example loop")
    print(heading("network", "engine, processor ms per step", limit, *loops, "× plain loop, wall-clock time"))
    with (
        side(given.data, device, given.threads, as_worker=True) as own,
        side(given.data, device, given.threads, as_worker=False) as ordinary,
    ):
        for arch in given.arch or TARGETS:
            race = Race(arch, given.updates, device, given.data)
            print(report(race, run_race(race, given.repeats, own=own, ordinary=ordinary)), flush=True)


if __name__ == "__main__":
    main()
