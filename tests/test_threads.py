"""How many threads a run uses: one for small steps, all for large ones, and the previous number when it resumes."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from lab.config import RunConfig
from lab.presets import get_preset
from lab.threads import threads_for
from lab.training.checkpoint import Checkpoint
from lab.training.progress import Progress
from lab.worker import execution
from tests.charts.charts_data import run


def _checkpoint(environment: dict[str, Any]) -> Checkpoint:
    return Checkpoint(Progress(), model={}, optimizer={}, rng={}, best={}, environment=environment)


def test_a_small_step_uses_one_thread_and_a_large_one_all() -> None:
    small = RunConfig(arch="lenet-bn", dataset="digits", batch_size=16)
    assert threads_for(small, usual=4) == 1
    assert threads_for(small.replace(batch_size=256), usual=4) == 4
    assert threads_for(RunConfig(arch="conv3-bn", dataset="digits"), usual=4) == 4
    assert [threads_for(get_preset("lenet5-digits").config(), usual=usual) for usual in (2, 3)] == [1, 3]


@pytest.mark.parametrize(("saved", "expected"), [(4, 4), (1, 1), (8, 1), (None, 1)])
def test_a_resumed_run_uses_its_previous_number_of_threads_if_this_machine_offers_it(
    saved: int | None, expected: int
) -> None:
    small = RunConfig(arch="lenet-bn", dataset="digits", batch_size=16)
    environment = {} if saved is None else {"threads": saved}
    assert threads_for(small, usual=4, resume=_checkpoint(environment)) == expected


def test_a_run_on_a_cpu_sets_the_number_of_threads_and_one_on_a_gpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", numbers.append)
    monkeypatch.setattr(execution, "_USUAL_THREADS", 4)
    small = replace(run(1), config=RunConfig(arch="lenet-bn", dataset="digits", batch_size=16))
    large = replace(small, config=small.config.replace(batch_size=256))
    for each in (small, large):
        execution._set_threads(each, torch.device("cpu"), None)
    execution._set_threads(small, torch.device("cpu"), _checkpoint({"threads": 4}))
    execution._set_threads(small, torch.device("cuda", 0), None)
    assert numbers == [1, 4, 4]
