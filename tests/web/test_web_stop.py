"""Stop ends a run after the current step, whether it is clicked on the page or requested on the command line."""

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
AT = 5  # the step during which Stop is requested, in the first epoch of 12 steps


@contextmanager
def in_step(number: int, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` once during training step `number`, counted from 1, just before its forward pass."""
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
def test_stop_ends_a_run_after_the_current_step(bench: Bench, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
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
        else:  # the command waits for the worker, which is this thread
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
