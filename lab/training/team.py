"""The processes that train one run together: their process group and the share of a batch that each computes."""

import datetime
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from lab.devices import use_device

# Ranks wait while rank 0 evaluates, saves or is suspended. Processes that have exited are detected by
# `lab.worker.ranks` and not by this timeout.
_TIMEOUT = datetime.timedelta(days=7)


@dataclass(slots=True)
class Team:
    """The processes that train one run. rank: of this process. orders: the group for the commands of rank 0.

    images: number of images in the current batch over all ranks.
    """

    rank: int
    size: int
    orders: "dist.ProcessGroup | None"
    images: int = 0

    def share(self, images: int) -> slice:
        """Return this rank's slice of a batch; sizes differ by at most one image, and the larger slices come first."""
        each, more = divmod(images, self.size)
        first = self.rank * each + min(self.rank, more)
        return slice(first, first + each + (self.rank < more))


def join_team(rank: int, size: int, meeting: Path, device: torch.device) -> Team:
    """Join the other ranks and return when all have joined. meeting: a file that does not exist yet, for all ranks."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    use_device(device)
    dist.init_process_group(
        backend, init_method=meeting.absolute().as_uri(), rank=rank, world_size=size, timeout=_TIMEOUT
    )
    orders = dist.new_group(backend="gloo", timeout=_TIMEOUT)
    assert not isinstance(orders, int)  # as for a process outside the group
    return Team(rank, size, orders)


def leave_team() -> None:
    """Leave the process group, if it was joined."""
    if dist.is_initialized():
        dist.destroy_process_group()
