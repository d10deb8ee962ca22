"""Every network still has the recorded first losses of earlier releases: bit for bit on the same processor and torch.

A release that changes no network and no training step needs no new recording.
"""

from pathlib import Path
from typing import Any

import pytest

from lab.architectures.registry import list_architectures
from tests.golden import losses
from tests.golden.opening import GOLDEN, RELEASES, read

_FEW_STEPS = 8  # of the 20 recorded ones; each depends on those before it


# The recordings of all releases, one per processor vendor.
_RECORDINGS: list[dict[str, Any]] = [
    read(release, path.name) for release in RELEASES for path in sorted((GOLDEN / release).glob("losses-*.json"))
]


def _cases() -> list[Any]:
    """Return each network, data set and number of steps; those that are slow or need MNIST are marked."""
    cases = []
    recorded = {key for golden in _RECORDINGS for key in golden["losses"]}
    for dataset in ("digits", "mnist"):
        for arch in list_architectures():
            if f"{dataset}/{arch.id}" not in recorded:
                continue
            name = f"{dataset}-{arch.id}"
            if dataset == "mnist" or arch.default_input_size in ("64", "224") or arch.id == "wide-cnn":
                marks = [*([pytest.mark.mnist] if dataset == "mnist" else []), pytest.mark.slow]
                cases.append(pytest.param(dataset, arch.id, losses.STEPS, marks=marks, id=name))
            else:
                cases.append(pytest.param(dataset, arch.id, _FEW_STEPS, id=name))
                cases.append(pytest.param(dataset, arch.id, losses.STEPS, marks=pytest.mark.long, id=f"{name}-all"))
    return cases


def test_every_network_of_the_first_release_has_recorded_losses() -> None:
    recorded = [len([key for key in golden["losses"] if key.startswith("digits/")]) for golden in _RECORDINGS]
    assert recorded
    assert min(recorded) >= 19


@pytest.mark.parametrize(("dataset", "arch", "steps"), _cases())
def test_the_first_losses_match_the_recorded_ones(dataset: str, arch: str, steps: int, tmp_path: Path) -> None:
    if dataset == "mnist" and not losses.MNIST.is_dir():
        pytest.skip(f"MNIST is not in {losses.MNIST}")
    data = losses.MNIST if dataset == "mnist" else tmp_path
    found = losses.first_losses(arch, dataset=dataset, home=tmp_path, data=data, steps=steps)
    assert len(found) == steps
    for golden in _RECORDINGS:
        recorded = golden["losses"].get(f"{dataset}/{arch}", ())[:steps]
        if recorded and golden["conditions"] == losses.conditions():
            assert found == recorded
        elif recorded:  # another processor or torch rounds differently, and the difference grows with every step
            first, expected = ([float.fromhex(value) for value in some[:3]] for some in (found, recorded))
            assert first == pytest.approx(expected, rel=2e-3)
