"""The lab's overhead on a run: `LAB_DATA=... python -m benchmarks.overhead [--repeats 7] [--threads 1]`.

Three contestants train the same network (LeNet-5, MNIST, one epoch, batch 64), taking turns in one process, in another
order in each repeat:

- engine: data, network and `lab.training.engine.train`; all events are discarded;
- lab: the worker's `execute`, including store, curves, checkpoints, saved weights, diagnosis, lease and monitoring;
- page: the same while the Train page shows that run live in a Chromium on this machine.

A ratio is the median over the repeats of (time / the engine's in the same repeat), with its quartiles. Processor time
is that of this process, without the server and the browser; the wall clock includes them. The engine's own clock is
paused while others handle its events. The lab's share is therefore the time of a run beyond that clock, minus the same
of the engine alone (data and network); being measured within a run, it does not vary with the machine's load.

With --answers instead: what the predictions for ten test images cost that the engine makes within an epoch, for
Home's first run on the built-in digits, LeNet-5 on MNIST and AlexNet at 224 pixels: milliseconds each, and the share of
the time that they take at the engine's interval.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from playwright.sync_api import Page, sync_playwright

from benchmarks.chromium import find_chromium
from benchmarks.lab_runs import Times, claim, lab_share, timed, train_alone, train_in_lab
from benchmarks.markdown_tables import heading, row
from benchmarks.quartiles import write_quartiles
from benchmarks.web import serve
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.devices import describe_device, keep_big_blocks, resolve_device
from lab.networks import build_from_config
from lab.presets import get_preset
from lab.service.lab import Lab
from lab.settings import Settings
from lab.training.engine import ANSWERS_S, ANSWERS_SHARE
from lab.training.session import Session
from lab.training.warm_up import warm_up

CONTESTANTS = ("engine", "lab", "page")


def take_turn(name: str, lab: Lab, seed: int, page: Page, url: str) -> Times:
    config = RunConfig(
        arch="lenet5", dataset="mnist", epochs=1, batch_size=64, val_fraction=0.0, device="cpu", seed=seed
    )
    if name == "engine":
        return timed(lambda: train_alone(lab, config))
    run = claim(lab, config)
    if name == "lab":
        return timed(lambda: train_in_lab(lab, run))
    page.goto(f"{url}/train?run={run.id}")
    page.wait_for_selector(".cl-live")
    page.wait_for_timeout(1500)  # until the page only polls
    try:
        return timed(lambda: train_in_lab(lab, run))
    finally:
        if not page.evaluate("+document.querySelector('.cl-live').dataset.points"):
            raise RuntimeError("the page showed no point of the run")
        page.goto("about:blank")


def measure_answers(lab: Lab, config: RunConfig, repeats: int) -> str:
    """Return the milliseconds of one prediction for the sample images, and the share of the time, as a table row."""
    device = resolve_device(config.device)
    data = load_resident(config, root=lab.settings.data, device=device)
    session = Session(config, build_from_config(config), data, device)
    session.answer_samples()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        session.answer_samples()
        seconds.append(time.perf_counter() - began)
    share = statistics.median(each / (each + max(ANSWERS_S, ANSWERS_SHARE * each)) for each in seconds)
    return f"| `{config.arch}` on {config.dataset} | {write_quartiles([1e3 * s for s in seconds], 2)} | {share:.2%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--answers", action="store_true", help="only the predictions for ten test images")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_big_blocks()
    warm_up(torch.device("cpu"))
    place = tempfile.TemporaryDirectory(prefix="convlab-overhead-", ignore_cleanup_errors=True)
    home = Path(place.name)
    data = os.environ.get("LAB_DATA", ".lab/data")
    lab = Lab(Settings.from_env({"LAB_HOME": str(home), "LAB_DATA": data}))
    if given.answers:
        print(f"n = {given.repeats}\n| network | ms (quartiles) | share of the time |\n|---|---|---|")
        for preset in ("lenet5-digits", "lenet5", "d-alexnet"):
            print(measure_answers(lab, get_preset(preset).config(device="cpu"), given.repeats))
        return
    times: dict[str, list[Times]] = {name: [] for name in CONTESTANTS}
    with serve(home) as url, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page()
        for repeat in range(-1, given.repeats):  # the first round is not counted
            for i in range(len(CONTESTANTS)):
                name = CONTESTANTS[(i + repeat) % len(CONTESTANTS)]
                taken = take_turn(name, lab, 10 * (repeat + 1) + i, page, url)
                if repeat >= 0:
                    times[name].append(taken)
        chromium.close()
    place.cleanup()
    print(", ".join(f"{k} {v}" for k, v in describe_device(resolve_device("cpu")).items()))
    alone = statistics.median(each.wall for each in times["engine"])
    print(f"n = {given.repeats}, engine alone {alone:.1f} s; median (quartiles)")
    print(
        heading(
            "",
            "the lab's share of the engine's time",
            "wall-clock time ÷ that of the engine alone, in turns",
            "processor time ÷ that of the engine alone, in turns",
        )
    )
    for name in CONTESTANTS[1:]:
        pairs = list(zip(times[name], times["engine"]))
        columns = (
            [lab_share(own, bare) for own, bare in pairs],
            [own.wall / bare.wall for own, bare in pairs],
            [own.cpu / bare.cpu for own, bare in pairs],
        )
        print(row(name, *(write_quartiles(values, 3) for values in columns)))


if __name__ == "__main__":
    main()
