"""How well photographs and scans of digits are read: fourteen kinds, synthesised from test digits.

Kinds with several digits that touch are available with `--kind`.

All kinds use the same test digits with random parameters (`benchmarks.photo_kinds`). Each picture is saved as a file,
decoded, searched for digits and read by the run's network with its rule for "unsure", by the same code as on the pages.
Prints a Markdown table: read correctly, wrong and sure, unsure, no digit or several found, processor time per picture.
"""

import argparse
import os
import time
import zlib
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmarks.markdown_tables import heading, row
from benchmarks.photo_kinds import KINDS, SEVERAL
from lab.data.pictures import read_colours
from lab.data.recipes import RECIPES
from lab.errors import InputError
from lab.loaded_network import LoadedNetwork
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sketch.photo import find_digits
from lab.sketch.photo_reading import Reader, read_photo
from lab.sketch.reading import learn_network_rule
from lab.sketch.unsure import UnsureRule


@dataclass(slots=True)
class Tally:
    """Counts of one kind's outcomes. wrong: (number, answer, probability) of the misread pictures."""

    right: int = 0
    sure_wrong: int = 0
    unsure: int = 0
    none: int = 0
    several: int = 0
    seconds: list[float] = field(default_factory=list)
    wrong: list[tuple[int, str, float]] = field(default_factory=list)


def main() -> None:
    """Measure one run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="id or name of a run in this lab's store")
    parser.add_argument("--images", type=int, default=100, help="digits per kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kind", action="append", choices=sorted({*KINDS, *SEVERAL}), help="only this kind; may be repeated"
    )
    parser.add_argument("--split", choices=("test", "train"), default="test", help="train: to tune on")
    parser.add_argument("--show-wrong", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lab = Lab(Settings.from_env(os.environ))
    loaded = lab.weights.load(lab.store.runs.resolve(options.run).id)
    dataset = lab.datasets.load(loaded.run.config.dataset)
    images = dataset.test_images if options.split == "test" else dataset.train_images
    labels = dataset.test_labels if options.split == "test" else dataset.train_labels
    order = np.random.default_rng([options.seed, len(images)]).permutation(len(images))
    rule = learn_network_rule(loaded, dataset)
    print(f"{options.images} {options.split} digits per kind, seed {options.seed}\n")
    shares = ("read correctly", "wrong and sure", "unsure", "no digit found", "several found")
    print(heading("kind", *shares, "processor time, ms: median", "maximum"))
    for kind in options.kind or KINDS:
        digits = SEVERAL[kind][0] if kind in SEVERAL else 1
        chosen = order[: options.images * digits].reshape(-1, digits)
        tally = measure(kind, images[chosen], labels[chosen], loaded, rule, seed=options.seed)
        print(line(kind, tally), flush=True)
        if options.show_wrong:
            print(f"<!-- {tally.wrong} -->")


def measure(
    kind: str, images_NDHW: np.ndarray, labels_ND: np.ndarray, loaded: LoadedNetwork, rule: UnsureRule, *, seed: int
) -> Tally:
    """Return the outcomes of reading one kind of photographs, each of D digits (uint8 (N, D, 28, 28))."""
    tally = Tally()
    reader = Reader(loaded, RECIPES["mnist"], rule)
    for number, (images, labels) in enumerate(zip(images_NDHW, labels_ND, strict=True)):
        data = picture(kind, images, number, seed=seed)
        start = time.process_time()
        try:
            answers = [digit.answers[0] for digit in read_photo(find_digits(read_colours(data)), [reader], split=True)]
        except InputError:
            answers = []
        tally.seconds.append(time.process_time() - start)
        truth = [loaded.class_names[int(label)] for label in labels]
        read = [answer.label for answer in answers]
        if read == truth:
            tally.right += 1
        else:
            tally.wrong.append((number, "".join(read), max((a.probability for a in answers), default=0)))
        tally.none += not answers
        tally.several += len(answers) > len(truth)
        tally.unsure += any(answer.verdict.unsure for answer in answers)
        tally.sure_wrong += any(not answer.verdict.unsure for answer in answers) and read != truth
    return tally


def picture(kind: str, images: np.ndarray, number: int, *, seed: int) -> bytes:
    """Return one photograph of digits (D, 28, 28) as a file; its parameters depend only on kind, number and seed."""
    random = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
    return SEVERAL[kind][1](images, random) if kind in SEVERAL else KINDS[kind](images[0], random)


def line(kind: str, tally: Tally) -> str:
    """Return one line of the table."""
    count = len(tally.seconds)
    shares = [
        f"{100 * n / count:.0f} %" for n in (tally.right, tally.sure_wrong, tally.unsure, tally.none, tally.several)
    ]
    times = [f"{1000 * t:.0f}" for t in (float(np.median(tally.seconds)), max(tally.seconds))]
    return row(kind, *shares, *times)


if __name__ == "__main__":
    main()
