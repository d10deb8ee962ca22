"""The sections of `benchmarks.gpu`: their measurements, sizes and time limits."""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.limit import build_limit
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.devices import memory_mb, reset_peak_memory, synchronise
from lab.networks import build_from_config
from lab.presets import get_preset
from lab.seeding import seed_everything
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.evaluation import Forward
from lab.training.events import Ended, Started
from lab.training.session import Session, process_settings
from lab.training.static_evaluation import LAUNCHED_FIRST, MAX_RECORDED_BYTES
from lab.training.step_choice import StepKind
from lab.training.stepping import autocast_dtype
from lab.training.together import Job, train_together
from lab.training.warm_up import warm_up

BATCH, LR = 64, 1e-3
SMALL = ("lenet-bn", "basic-cnn", "conv3-bn", "resnet-small", "vgg-small", "resnet18-tv")
# The fastest first, so that a section that is cut short has most rows.
REPORT = ("lenet-bn", "alexnet", "resnet18", "googlenet", "mobilenet", "vgg11", "vgg19")
SEEDS = range(2_000, 2_005)  # held out: 100 to 103 chose the speedrun's settings
PRECISIONS = ("float32", "bfloat16")
MAX_LAUNCHED = 100  # maximum updates of launched steps, which are several times slower and only for comparison
EVALUATIONS = LAUNCHED_FIRST + 6  # evaluations of one set
EVALUATED = (("lenet-bn", 10_000), ("resnet-small", 10_000), ("mobilenet", 2_000))
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is measured.

    images: number of training images, 0 for all. together: numbers of concurrent runs. evaluated: (network, number of
    images). updates: those of an epoch of the report, because its last step is launched.
    """

    networks: tuple[str, ...]
    large: tuple[str, ...]
    updates: int
    large_updates: int
    repeats: int
    batch: int
    images: int
    epochs: int
    seeds: Sequence[int]
    together: Sequence[int]
    evaluated: Sequence[tuple[str, int]]
    report: Sequence[str] = REPORT
    precisions: Sequence[str] = PRECISIONS


FULL = Size(SMALL, ("alexnet",), 750, 60, 3, BATCH, 0, 5, SEEDS, (1, 2, 4, 8), EVALUATED)
TINY = Size(("lenet-bn",), ("lenet-bn",), 6, 1, 1, 4, 400, 1, SEEDS[:1], (1, 2), (("lenet-bn", 10),), REPORT[:1])


def read_data(config: RunConfig, root: Path, device: torch.device) -> ResidentData:
    """Return the images of a configuration; if its training images are limited, so are the test images."""
    data = load_resident(config, root=root, device=device)
    most = config.train_limit or len(data.test_y)
    return dataclasses.replace(data, test_x=data.test_x[:most], test_y=data.test_y[:most])


@dataclass
class Bench:
    """Shared state of all sections. deadline: of the current section, on `time.perf_counter`. read: loaded images."""

    device: torch.device
    root: Path
    dataset: str
    size: Size
    deadline: float = 0.0
    read: dict[tuple[int, float, int], ResidentData] = field(default_factory=dict)

    def in_time(self) -> bool:
        """Whether another measurement may begin."""
        return time.perf_counter() < self.deadline

    def data(self, config: RunConfig) -> ResidentData:
        """Return the images of a configuration; configurations that need the same images share them."""
        key = (config.train_limit, config.val_fraction, config.seed)
        if key not in self.read:
            self.read[key] = read_data(config, self.root, self.device)
        return self.read[key]

    def config(self, arch: str, **settings: Any) -> RunConfig:
        own = {"arch": arch, "dataset": self.dataset, "batch_size": self.size.batch, "lr": LR, "val_fraction": 0.0}
        return RunConfig(**{**own, "train_limit": self.size.images, "epochs": 10_000, **settings})


def run(config: RunConfig, data: ResidentData, device: torch.device, kind: StepKind = StepKind.AUTO) -> Row:
    """Train and return the run's own numbers: seconds, test accuracy, peak memory."""
    seed_everything(config.seed)
    how = ""
    for event in train(config, network=build_from_config(config), data=data, device=device, steps=kind):
        if isinstance(event, Started):
            how = str(event.environment["steps"])
    assert isinstance(event, Ended)
    summary = event.summary
    return {
        "steps": how,
        "seconds": summary["seconds"],
        "train_s": summary["train_seconds"],
        "step_ms": 1e3 * summary["train_seconds"] / summary["steps"],
        "test_accuracy": summary["test_accuracy"],
        "peak_mb": memory_mb(device),
    }


def few_images(data: ResidentData) -> ResidentData:
    """Return the data with hardly any images for evaluation, which the sections on steps do not measure."""
    few = {name: getattr(data, name)[:2] for name in ("val_x", "val_y", "test_x", "test_y")}
    return dataclasses.replace(data, **few)


def time_limit(bench: Bench, config: RunConfig, data: ResidentData, updates: int, *, captured: bool) -> float:
    """Return the milliseconds per update of the limit, with the number formats and algorithms of a run."""
    with process_settings(config, bench.device):
        step = build_limit(
            build_from_config(config),
            tuple(data.train_x.shape[1:]),
            batch=config.batch_size,
            lr=config.lr,
            device=bench.device,
            precision=autocast_dtype(config),
            captured=captured,
        )
        synchronise(bench.device)
        began = time.perf_counter()
        for _ in range(updates):
            step()
        synchronise(bench.device)
    return 1e3 * (time.perf_counter() - began) / updates


def race(bench: Bench, config: RunConfig, updates: int) -> Row:
    """Return one row: engine and limit take turns, after a short first round that is not counted.

    Both are timed once with launched kernels.
    """
    some = max(2, min(updates // 3, MAX_LAUNCHED))
    data = few_images(bench.data(config))
    engines, limits = [], []
    for repeat in range(-1, bench.size.repeats):
        if repeat > 0 and not bench.in_time():
            break
        count = updates if repeat >= 0 else some
        engine = run(config.replace(max_steps=count), data, bench.device)
        limit_ms = time_limit(bench, config, data, count, captured=True)
        if repeat >= 0:
            engines.append(engine["step_ms"])
            limits.append(limit_ms)
    launched = run(config.replace(max_steps=some), data, bench.device, StepKind.LAUNCHED)
    ratios = [engine_ms / limit_ms for engine_ms, limit_ms in zip(engines, limits)]
    return {
        "network": config.arch,
        "precision": config.precision,
        "n": len(ratios),
        "engine_ms": statistics.median(engines),
        "limit_ms": statistics.median(limits),
        "launched_ms": launched["step_ms"],
        "eager_ms": time_limit(bench, config, data, some, captured=False),
        "engine/limit": statistics.median(ratios),
        "spread": f"{min(ratios):.2f}–{max(ratios):.2f}",
        "peak_mb": engine["peak_mb"],
        "steps": engine["steps"],
    }


def in_turn(bench: Bench, archs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield networks and precisions while there is time: all networks in the first precision, then in the next."""
    for precision in bench.size.precisions:
        for arch in archs:
            if bench.in_time():
                yield arch, precision


def section_steps(bench: Bench) -> Iterator[Row]:
    for arch, precision in in_turn(bench, bench.size.networks):
        yield race(bench, bench.config(arch, precision=precision), bench.size.updates)


def section_large(bench: Bench) -> Iterator[Row]:
    for arch, precision in in_turn(bench, bench.size.large):
        yield race(bench, bench.config(arch, precision=precision), bench.size.large_updates)


def section_runs(bench: Bench, archs: Sequence[str] = ("lenet-bn",)) -> Iterator[Row]:
    for arch, precision in in_turn(bench, archs):
        preset = get_preset(f"d-{arch}")
        config = preset.config(
            dataset=bench.dataset, epochs=bench.size.epochs, train_limit=bench.size.images, precision=precision
        )
        row = run(config, bench.data(config), bench.device)
        yield {
            "preset": preset.id,
            "precision": precision,
            **row,
            "report_s": preset.reported.seconds,
            "report_accuracy": preset.reported.test_accuracy,
        }


def section_report(bench: Bench) -> Iterator[Row]:
    yield from section_runs(bench, bench.size.report)


def section_speedrun(bench: Bench) -> Iterator[Row]:
    steps = {} if not bench.size.images else {"max_steps": bench.size.updates, "train_limit": bench.size.images}
    config = get_preset("speedrun").config(dataset=bench.dataset, **steps)
    data = bench.data(config)
    for seed in bench.size.seeds:
        if bench.in_time():
            yield {"seed": seed, **run(config.replace(seed=seed), data, bench.device)}


def section_evaluation(bench: Bench) -> Iterator[Row]:
    """Yield rows on a run's evaluations of one set: launched, and captured if the run captures them."""
    captured = StepKind.AUTO if bench.device.type == "cuda" else StepKind.REPEATED
    for arch, images in bench.size.evaluated:
        if not bench.in_time():
            return
        config = bench.config(arch)
        data = bench.data(config)
        data = dataclasses.replace(data, test_x=data.test_x[:images], test_y=data.test_y[:images])
        launched = later = time_evaluations(bench, config, data, StepKind.LAUNCHED)
        # If chunks are too large to be captured, preparing to capture steps takes long without any result.
        held = min(launched["chunk"], images) * Forward(build_from_config(config), data.mean, data.std).map_bytes(
            data.test_x.shape[1:]
        )
        if held <= MAX_RECORDED_BYTES:
            later = time_evaluations(bench, config, data, captured)
        yield {
            "network": arch,
            "images": images,
            "chunk": launched["chunk"],
            "launched_ms": launched["later_ms"],
            "n": EVALUATIONS - LAUNCHED_FIRST - 1,
            "captured_ms": "too large" if later is launched else later["later_ms"],
            "capturing_ms": "" if later is launched else later["recording_ms"],
            "images/s": 1e3 * images / later["later_ms"],
            "peak_mb": later["peak_mb"],
            "notices": later["notices"],
        }


def time_evaluations(bench: Bench, config: RunConfig, data: ResidentData, kind: StepKind) -> Row:
    """Return milliseconds of a run's evaluations: the one that records, if any, and the median of the later ones."""
    reset_peak_memory(bench.device)
    times = []
    with process_settings(config, bench.device):
        session = Session(config, build_from_config(config), data, bench.device, steps=kind)
        session.prepare()
        for _ in range(EVALUATIONS):
            began = time.perf_counter()
            result = session.evaluate("test", before_chunk=lambda: None)  # waits for the device
            times.append(1e3 * (time.perf_counter() - began))
    return {
        "chunk": result.chunk,
        "recording_ms": times[LAUNCHED_FIRST],
        "later_ms": statistics.median(times[LAUNCHED_FIRST + 1 :]),
        "peak_mb": memory_mb(bench.device),
        "notices": " ".join(notice.message for notice in session.notices()),
    }


def section_together(bench: Bench) -> Iterator[Row]:
    """Yield rows on several seeds of one setting that take steps in turn, compared with one after the other."""
    for arch in bench.size.networks[:2]:
        alone_s = 0.0
        for count in bench.size.together:
            if not bench.in_time():
                return
            config = bench.config(arch, max_steps=bench.size.updates)
            times = [time_together(bench, config, count) for _ in range(bench.size.repeats + 1)][1:]
            seconds = statistics.median(times)
            alone_s = alone_s or seconds
            yield {
                "network": arch,
                "runs": count,
                "n": len(times),
                "step_ms": 1e3 * seconds / config.max_steps,
                "images/s": count * config.max_steps * config.batch_size / seconds,
                "× one after the other": count * alone_s / seconds,
                "spread": f"{count * alone_s / max(times):.2f}–{count * alone_s / min(times):.2f}",
            }


def time_together(bench: Bench, config: RunConfig, count: int) -> float:
    """Return the seconds from the last run's start, when earlier runs have taken one step, to the last run's end."""
    data = few_images(bench.data(config))
    jobs = [
        Job(config=config.replace(seed=seed), network=build_from_config(config), data=data) for seed in range(count)
    ]
    began = ended = 0.0
    for _, event in train_together(jobs, device=bench.device):
        if isinstance(event, Started):
            began = time.perf_counter()
        elif isinstance(event, Ended):
            synchronise(bench.device)
            ended = time.perf_counter()
    return ended - began


def first_runs(device: str, root: Path, config: RunConfig) -> dict[str, float]:
    """Return the seconds of the warm-up, the first run and the second run; called in a new process."""
    there = torch.device(device)
    times = {"warm_up_s": _timed(lambda: warm_up(there))}
    data = read_data(config, root, there)
    for name in ("first_run_s", "second_run_s"):
        times[name] = _timed(lambda: run(config, data, there))
    return times


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def section_start(bench: Bench) -> Iterator[Row]:
    config = bench.config("lenet-bn", max_steps=bench.size.updates)
    with get_context("spawn").Pool(1) as pool:
        yield pool.apply(first_runs, (str(bench.device), bench.root, config))


def section_compile(bench: Bench) -> Iterator[Row]:
    for arch in bench.size.networks[:2]:
        if not bench.in_time():
            return
        config = bench.config(arch, compile=True, max_steps=bench.size.updates)
        data = few_images(bench.data(config))
        began = time.perf_counter()
        row = run(config, data, bench.device)
        yield {"network": arch, "ready_s": time.perf_counter() - began - row["train_s"], **row}


def section_lab(bench: Bench) -> Iterator[Row]:
    """Yield a row on the run of section `runs`, alone and through the lab's worker in turns.

    It is left out if the lab's packages are not installed.
    """
    try:
        from benchmarks.lab_runs import lab_share, train_both
        from lab.service.lab import Lab
        from lab.settings import Settings
    except ModuleNotFoundError as error:
        yield {"left out": f"{error.name} is not installed"}
        return
    preset = get_preset("d-lenet-bn")
    config = preset.config(dataset=bench.dataset, epochs=bench.size.epochs, train_limit=bench.size.images)
    with tempfile.TemporaryDirectory() as home:
        lab = Lab(Settings.from_env({"LAB_HOME": home, "LAB_DATA": str(bench.root)}))
        shares, seconds = [], []
        for repeat in range(bench.size.repeats + 1):
            if repeat > 1 and not bench.in_time():
                break
            own, bare = train_both(lab, config.replace(seed=repeat, device=str(bench.device)))
            if repeat:  # the first round is not counted
                shares.append(lab_share(own, bare))
                seconds.append(own.engine)
    yield {
        "preset": preset.id,
        "n": len(shares),
        "seconds": statistics.median(seconds),
        "lab's share": statistics.median(shares),
        "spread": f"{min(shares):.3f}–{max(shares):.3f}",
    }


@dataclass(frozen=True)
class Section:
    """One part of the table. limit_s: no measurement begins later than this many seconds after its start."""

    measure: Callable[[Bench], Iterator[Row]]
    limit_s: float
    default: bool = True


SECTIONS = {
    "steps": Section(section_steps, 80),
    "runs": Section(section_runs, 15),
    "speedrun": Section(section_speedrun, 15),
    "evaluation": Section(section_evaluation, 15),
    "start": Section(section_start, 20),
    "large": Section(section_large, 40),
    "together": Section(section_together, 50, default=False),
    "lab": Section(section_lab, 40, default=False),
    "compile": Section(section_compile, 60, default=False),
    "report": Section(section_report, 480, default=False),
}
