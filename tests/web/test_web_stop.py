"""Stop ends a run with the step in hand, whether it is pressed on the page or asked for on the command line."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from lab.architectures.blocks import ConvNet
from lab.cli.app import main
from lab.config import RunConfig
from lab.runs.records import RunRequest, RunState
from lab.worker import execution
from lab.worker.execution import execute
from lab.worker.heartbeat import Heartbeat
from tests.waiting import wait_until
from tests.web.addresses import open_page
from tests.web.web_data import Bench
from tests.worker.worker_runs import claim

CONFIG = RunConfig(dataset="digits", epochs=3, batch_size=32, train_limit=400, device="cpu")
AT = 5  # the step that is in hand when Stop is asked for, in the first epoch of 12


@contextmanager
def in_step(number: int, act: Callable[[], None]) -> Iterator[None]:
    """Act once in the middle of a training step, counted from 1: when the network is given its batch."""
    seen = 0

    def before_forward(module: nn.Module, _inputs: Any) -> None:
        nonlocal seen
        if isinstance(module, ConvNet) and module.training and torch.is_grad_enabled():
            seen += 1
            if seen == number:
                act()

    handle = register_module_forward_pre_hook(before_forward)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize("way", ["page", "command line"])
def test_stop_ends_a_run_with_the_step_in_hand(bench: Bench, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    lab = bench.lab
    beats: list[Heartbeat] = []

    class Watched(Heartbeat):
        def __enter__(self) -> Heartbeat:
            beats.append(self)
            return super().__enter__()

    monkeypatch.setattr(execution, "Heartbeat", Watched)
    lab.submissions.submit(lab.validation.resolve(CONFIG))
    run = claim(lab)
    app = open_page("train", run=run.id)
    waiting: list[threading.Thread] = []

    def stop() -> None:
        if way == "page":
            next(button for button in app.button if button.label == "Stop").click().run()
        else:  # it waits for the worker's answer, and that is us
            waiting.append(threading.Thread(target=main, args=(["stop", run.id],)))
            waiting[0].start()
        wait_until(lambda: beats[0].requested is RunRequest.STOP)

    with in_step(AT, stop):
        execute(lab, run, ending=threading.Event())
    for each in waiting:
        each.join()
    assert not app.exception
    ended = lab.store.runs.get(run.id)
    assert (ended.state, ended.progress.step) == (RunState.STOPPED, AT)
    assert lab.store.points.read(run.id)["batch/loss"].step.tolist() == list(range(1, AT + 1))
    assert lab.weights.find(run.id, epoch="latest").step == AT
