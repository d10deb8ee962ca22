"""One thread for small networks, because more of them wait for each other on a busy machine, and a shared network."""

import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.torch_threads import single_thread


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with single_thread():
        yield


class Shared(nn.Module):
    """Returns its input. When the main thread runs it, each of `others` first runs to its end in another thread."""

    def __init__(self, others: list[Callable[[], object]]) -> None:
        super().__init__()
        self.others = others

    def forward(self, x: Tensor) -> Tensor:
        if threading.current_thread() is threading.main_thread() and x.device.type != "meta":
            for other in self.others:
                reader = threading.Thread(target=other)
                reader.start()
                reader.join()
        return x


@pytest.fixture
def shared() -> tuple[nn.Sequential, Tensor]:
    """A network that another session runs on a black image in the middle of each of our passes, and our image."""
    torch.manual_seed(0)
    others: list[Callable[[], object]] = []
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        Shared(others),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(),
        Shared(others),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ).eval()

    @torch.inference_mode()
    def read() -> None:
        network(torch.full((1, 1, 28, 28), -9.0))

    others.append(read)
    return network, torch.rand(1, 1, 28, 28)
