"""Fixtures for the tests of the engine, which use one thread, so that a busy machine does not slow them down."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from lab.training.data import ResidentData
from tests.torch_threads import single_thread
from tests.training.training_nets import LinearNet, SmallNet, StuckNet, build_data


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with single_thread():
        yield


@pytest.fixture
def data() -> ResidentData:
    return build_data()


@pytest.fixture
def small_net() -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        torch.manual_seed(1)
        return SmallNet()

    return build


@pytest.fixture
def linear_net() -> type[LinearNet]:
    return LinearNet


@pytest.fixture
def stuck_net() -> type[StuckNet]:
    return StuckNet
