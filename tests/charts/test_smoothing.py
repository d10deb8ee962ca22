"""The centred mean: known answers, exact ends, and no precision lost after a huge value."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.charts.smoothing import SPANS, centred_mean, nearest_span, smoothed_means
from lab.charts.thinning import Thinned

ROOT = Path(__file__).resolve().parents[2]
CASES = json.loads((ROOT / "tests" / "cases" / "smoothing.json").read_text(encoding="utf-8"))
SCRIPT = ROOT / "pages" / "components" / "live" / "smoothing.js"


def _all(value: np.ndarray, span: int) -> np.ndarray:
    return centred_mean(value, span, np.arange(value.size))


def test_a_mean_over_five_values_is_centred_and_shrinks_at_both_ends() -> None:
    value = np.array([0.0, 1.0, 4.0, 9.0, 16.0, 25.0])
    assert _all(value, 4).tolist() == [0.0, 5 / 3, 6.0, 11.0, 50 / 3, 25.0]
    assert _all(value, 1).tolist() == value.tolist()


@pytest.mark.parametrize("span", SPANS)
def test_a_constant_stays_and_both_ends_of_a_line_are_what_was_measured(span: int) -> None:
    assert np.allclose(_all(np.full(3000, 3.0), span), 3.0)
    line = np.linspace(5.0, 1.0, 3000)
    assert _all(line, span)[0] == 5.0
    assert _all(line, span)[-1] == pytest.approx(np.mean(line[-1 - span // 8 :]))  # a quarter of half the window


def test_non_finite_values_stay_and_are_excluded_from_the_means() -> None:
    smoothed = _all(np.array([1.0, np.nan, 2.0, np.inf, 4.0]), 2)
    assert smoothed[[0, 2, 4]].tolist() == [1.0, 2.0, 4.0]
    assert np.isnan(smoothed[1])
    assert np.isposinf(smoothed[3])


def test_a_huge_value_does_not_reduce_the_precision_of_later_small_ones() -> None:
    value = np.full(400, 0.1)
    value[100] = 2.5e18
    assert _all(value, 20)[200:] == pytest.approx(np.full(200, 0.1), rel=1e-12)


def test_the_weight_of_an_older_link_becomes_the_span_that_smooths_as_much() -> None:
    assert [nearest_span(weight) for weight in (0.0, 0.6, 0.9, 0.99, 0.999)] == [1, 5, 20, 200, 1000]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_means_of_buckets_are_smoothed_as_in_the_shared_cases(case: dict[str, Any]) -> None:
    mean = np.array([np.nan if value is None else value for value in case["mean"]], dtype=np.float64)
    none = np.empty(0)
    thinned = Thinned(none, none, none, mean, mean, mean, case["width"], mean.size, mean.size)
    smoothed = smoothed_means(thinned, case["span"])
    expected = [np.nan if value is None else value for value in case["expected"]]
    assert smoothed.tolist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_live_charts_script_smooths_as_in_the_same_cases() -> None:
    code = (
        f"import {{ smoothedMeans }} from {SCRIPT.as_uri()!r};\n"
        "import { readFileSync } from 'node:fs';\n"
        "const cases = JSON.parse(readFileSync(0));"
        "console.log(JSON.stringify(cases.map(({ mean, width, span }) => smoothedMeans(mean, width, span))));"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code], input=json.dumps(CASES), capture_output=True, text=True, check=True
    )
    for case, answer in zip(CASES, json.loads(done.stdout), strict=True):
        assert answer == pytest.approx(case["expected"]), case["name"]
