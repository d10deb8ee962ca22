"""How well networks read drawings: test digits redrawn in other hands, processed as on the Draw page.

The centre lines of the data set's test digits (with --source, those of another data set, such as `mnist` to test runs
on smaller images) and ten polyline digits are drawn on a 280×280 canvas: pens 4 to 34 wide, digits 70 to 240 high,
slanted by -20° to 30°, turned by up to 12°, anywhere on the canvas. Each drawing is normalised as on the page, with all
steps and without each of them, and read by every given run. Digits whose centre lines do not preserve their shape are
left out. Prints a Markdown table.
"""

import argparse
import os
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.markdown_tables import heading, row
from benchmarks.traced_digits import redraw_image, trace_fidelity, trace_lines
from lab.data.load import Dataset
from lab.loaded_network import LoadedNetwork
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sketch.normalise import ALL_STEPS, STEPS, normalise
from lab.sketch.reading import compute_probabilities
from lab.sketch.render import POLYLINES, draw_digit, random_hand
from lab.sketch.sketch import Sketch

FAITHFUL = 0.75  # least share of common ink; other traces (such as those of blots) are left out
VARIANTS: dict[str, frozenset[str]] = {
    "all steps": ALL_STEPS,
    **{f"without {step}": ALL_STEPS - {step} for step in STEPS},
    "no step": frozenset(),
}


def main() -> None:
    """Measure the given runs and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="ids or names of runs in this lab's store")
    parser.add_argument("--images", type=int, default=2000, help="test digits to redraw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--source", default="", help="data set whose test digits are redrawn; by default that of the runs"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    lab = Lab(Settings.from_env(os.environ))
    loaded = [lab.weights.load(lab.store.runs.resolve(run).id) for run in options.runs]
    dataset = lab.datasets.load(loaded[0].run.config.dataset)
    source = lab.datasets.load(options.source) if options.source else dataset
    sketches, labels, hands = drawings(source, images=options.images, seed=options.seed)
    print(
        f"{len(sketches):,} drawings (seed {options.seed}): {hands[0]:,} redrawn test digits, {hands[1]:,} polylines\n"
    )
    columns = {name: variant(sketches, steps, dataset) for name, steps in VARIANTS.items()}
    print(heading("network", "augmentation", "test set", *VARIANTS, "polylines, all steps"))
    for each in loaded:
        print(line(each, columns, labels, dataset, first_polyline=hands[0]))


def drawings(dataset: Dataset, *, images: int, seed: int) -> tuple[list[Sketch], np.ndarray, tuple[int, int]]:
    """Return sketches, their labels, and the numbers of redrawn test digits and of polyline digits among them."""
    random = np.random.default_rng(seed)
    sketches, labels = [], []
    for image, label in zip(dataset.test_images[:images], dataset.test_labels[:images], strict=True):
        if trace_fidelity(image, trace_lines(image)) >= FAITHFUL:
            sketches.append(redraw_image(image, random_hand(random)))
            labels.append(label)
    redrawn = len(sketches)
    for _ in range(max(1, images // 50)):
        for digit in POLYLINES:
            sketches.append(draw_digit(digit, random_hand(random)))
            labels.append(dataset.spec.classes.index(digit))
    return sketches, np.array(labels), (redrawn, len(sketches) - redrawn)


def variant(sketches: Sequence[Sketch], steps: frozenset[str], dataset: Dataset) -> np.ndarray:
    """Return the normalised pictures uint8 (N, 28, 28)."""
    recipe = dataset.spec.require_recipe()
    return np.stack([normalise(sketch, recipe=recipe, steps=steps) for sketch in sketches])


def line(
    loaded: LoadedNetwork,
    columns: dict[str, np.ndarray],
    labels: np.ndarray,
    dataset: Dataset,
    *,
    first_polyline: int,
) -> str:
    """Return one line of the table."""
    right = {name: compute_probabilities(loaded, images).argmax(1) == labels for name, images in columns.items()}
    test = compute_probabilities(loaded, dataset.test_images).argmax(1) == dataset.test_labels
    cells = [f"`{loaded.run.config.arch}`", loaded.run.config.augment, f"{test.mean():.2%}"]
    cells += [f"{hits.mean():.2%}" for hits in right.values()]
    cells.append(f"{right['all steps'][first_polyline:].mean():.2%}")
    return row(*cells)


if __name__ == "__main__":
    main()
