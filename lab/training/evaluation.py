"""Loss and accuracy of a network on a data set, without gradients, in chunks that are halved if memory runs out."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.architectures.shapes import activation_bytes, meta_copy
from lab.devices import is_out_of_memory, release_memory, without_trials
from lab.errors import TrainingError
from lab.training.batches import normalise
from lab.training.kernels import to_channels_last
from lab.training.losses import Loss, split_output

CPU_CHUNK = 250  # images; larger chunks are slower on a CPU for wide networks
# Limit for the largest feature map of a chunk on other devices: `mobilenet` at 224 pixels took 20 GB with 2,000 images.
MAX_BYTES = 2 * 10**9


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Mean loss, accuracy in [0, 1], logits_NK float32 on the CPU, and the number of images per chunk that fitted."""

    loss: float
    accuracy: float
    logits: Tensor
    chunk: int


@dataclass(frozen=True, slots=True)
class Forward:
    """Computes a network's logits of uint8 images. autocast: dtype of the forward pass, None for float32."""

    network: nn.Module
    mean: float
    std: float
    autocast: torch.dtype | None = None
    channels_last: bool = False
    # A cache of `map_bytes` by image shape.
    _map_bytes: dict[torch.Size, int] = field(default_factory=dict, repr=False, compare=False)

    def map_bytes(self, image_shape: torch.Size) -> int:
        """Return the bytes of one image's largest float32 feature map; cached, because it takes a few milliseconds."""
        if image_shape not in self._map_bytes:
            probe, x_BCHW = meta_copy(self.network).eval(), torch.empty(1, *image_shape, device="meta")
            self._map_bytes[image_shape] = activation_bytes(probe, x_BCHW).map
        return self._map_bytes[image_shape]

    def resolve_chunk(self, batch_size: int, image_shape: torch.Size, device: torch.device) -> int:
        """Return the images per chunk; see the function `resolve_chunk`."""
        return resolve_chunk(batch_size, device, lambda: self.map_bytes(image_shape))

    @contextlib.contextmanager
    def ready(self, device: torch.device, *, cache: bool = True) -> Iterator[None]:
        """Enter eval mode without gradients; modes are restored. cache: cache the weights that autocast converts."""
        modes = [(module, module.training) for module in self.network.modules()]
        self.network.eval()
        autocast = torch.autocast(device.type, self.autocast, enabled=self.autocast is not None, cache_enabled=cache)
        try:
            with torch.inference_mode(), autocast, without_trials(device):
                yield
        finally:
            for module, mode in modes:
                module.training = mode

    def logits(self, x_u8: Tensor) -> Tensor:
        """Return logits_BK float32 of images (B, C, H, W)."""
        x_BCHW = normalise(x_u8, mean=self.mean, std=self.std)
        return split_output(self.network(to_channels_last(x_BCHW) if self.channels_last else x_BCHW))[0].float()

    def chunks(self, x_u8: Tensor, chunk: int, *, before_chunk: Callable[[], None]) -> tuple[list[Tensor], int]:
        """Return the logits in chunks of `chunk` images, halved if memory runs out, and the chunk size that fitted."""
        parts: list[Tensor] = []
        done = 0
        with self.ready(x_u8.device):
            while done < len(x_u8):
                before_chunk()
                part = x_u8[done : done + chunk]
                try:
                    parts.append(self.logits(part))
                    done += chunk
                    continue
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                    chunk = _halve(len(part), error)
                release_memory(x_u8.device)  # outside the handler: the traceback holds the failed chunk's tensors
        return parts, chunk


def resolve_chunk(batch_size: int, device: torch.device, map_bytes: Callable[[], int]) -> int:
    """Return the images per chunk; a batch size of 0 chooses by device.

    map_bytes: returns the bytes of one image's largest float32 feature map, by which a GPU's chunk is chosen.
    """
    if batch_size or device.type == "cpu":
        return batch_size or CPU_CHUNK
    return max(1, MAX_BYTES // map_bytes())


def evaluate(
    network: nn.Module,
    x_u8: Tensor,
    y: Tensor,
    *,
    mean: float,
    std: float,
    batch_size: int = 0,
    loss: Loss = F.cross_entropy,
    autocast: torch.dtype | None = None,
    channels_last: bool = False,
    before_chunk: Callable[[], None] | None = None,
) -> Evaluation:
    """Evaluate in eval mode on uint8 images (N, C, H, W) and labels (N,) that reside on the network's device.

    `before_chunk` may raise to stop early. A chunk that does not fit into memory is halved, which is possible because
    images are independent in eval mode. Every module's mode is restored. An empty set gives NaN. Raises `TrainingError`
    if a single image does not fit.
    """
    forward = Forward(network, mean, std, autocast, channels_last)
    chunk = forward.resolve_chunk(batch_size, x_u8.shape[1:], x_u8.device)
    parts, chunk = forward.chunks(x_u8, chunk, before_chunk=before_chunk or (lambda: None))
    return summarise(parts, y, loss, chunk)


def _halve(images: int, error: RuntimeError) -> int:
    if images == 1:
        raise TrainingError(
            "The device ran out of memory when evaluating a single image: "
            "choose a smaller input size or a smaller network."
        ) from error
    return images // 2


def summarise(parts: list[Tensor], y: Tensor, loss: Loss, chunk: int) -> Evaluation:
    """Return the evaluation of concatenated logits_BK, which are copied. Must be called outside inference mode."""
    if not len(y):
        return Evaluation(loss=float("nan"), accuracy=float("nan"), logits=torch.empty(0, 0), chunk=chunk)
    logits = torch.cat(parts)  # outside inference mode: an ordinary tensor
    correct = (logits.argmax(1) == y).sum()
    return Evaluation(loss(logits, y).item(), correct.item() / len(y), logits.cpu(), chunk)
