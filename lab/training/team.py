"""The processes that train one run together: who is there, how they meet and which images of a batch are whose."""

import datetime
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from lab.devices import use_device

# A rank waits while rank 0 evaluates, saves or is suspended; who is gone is noticed by `lab.worker.ranks`, not by a time limit.
_PATIENCE = datetime.timedelta(days=7)


@dataclass(slots=True)
class Team:
    """The processes that train one run. rank: of this one. orders: the group that carries what rank 0 asks for.

    images: of the batch that is computed now, all ranks' together.
    """

    rank: int
    size: int
    orders: "dist.ProcessGroup | None"
    images: int = 0

    def share(self, images: int) -> slice:
        """Return which images of a batch are this rank's: as even as can be, the larger shares first."""
        each, more = divmod(images, self.size)
        first = self.rank * each + min(self.rank, more)
        return slice(first, first + each + (self.rank < more))


def join_team(rank: int, size: int, meeting: Path, device: torch.device) -> Team:
    """Meet the other ranks, which use the same file that does not exist yet; returns when all are there."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    use_device(device)
    dist.init_process_group(
        backend, init_method=meeting.absolute().as_uri(), rank=rank, world_size=size, timeout=_PATIENCE
    )
    orders = dist.new_group(backend="gloo", timeout=_PATIENCE)
    assert not isinstance(orders, int)  # which a process outside the group gets
    return Team(rank, size, orders)


def leave_team() -> None:
    """Part from the other ranks."""
    dist.destroy_process_group()
