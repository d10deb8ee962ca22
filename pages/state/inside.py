"""The state of the Inside page."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.config import FIELDS
from lab.errors import ConfigError
from lab.inspection.distortions import DISTORTIONS
from lab.inspection.gradient_flow import QUANTITIES
from lab.service.update_rules import BATCHES, PLAIN, RULES, SAME_BATCH
from pages.state.codec import Reader, one_of, param, split, whole, whole_number
from pages.state.page_state import PageState

VIEWS = {
    "network": "Whole network",
    "maps": "Feature maps",
    "kernels": "Kernels",
    "hand": "One value",
    "gradients": "Gradients",
    "step": "Training step",
    "why": "Attribution",
    "answers": "Evaluation",
    "robustness": "Robustness",
    "map": "Embedding",
}
SOURCES = {"test": "Test", "drawing": "Drawing", "upload": "Upload"}
MAX_STEPS = 200  # training steps of one sequence, which an address may ask for at once
_MAX = 10**9  # only the page knows how many epochs and images there are


def place_in(shape: Sequence[int]) -> Reader:
    """Return a reader of a place: a channel, or channel, row and column, of maps (C, H, W)."""

    def read(text: str) -> tuple[int, ...]:
        numbers = [whole_number(part) for part in split(text)]
        place = tuple(number for number in numbers if number is not None)
        if len(place) != len(numbers) or not fits(place, shape):
            raise ValueError(
                f"a map from 0 to {shape[0] - 1}, or a map, a row up to {shape[1] - 1} and a column up to "
                f"{shape[2] - 1} with points between them"
            )
        return place

    return read


def fits(place: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a place is a channel of maps (C, H, W), or a value of them."""
    return len(place) in (1, 3) and all(0 <= number < count for number, count in zip(place, shape))


def _read_rate(text: str) -> float:
    """Return a learning rate from the address. Raises `ValueError` with the rule."""
    setting = FIELDS["lr"]  # the run's own rate is offered too
    try:
        rate: float = setting.check(float(text))
    except (ValueError, ConfigError):
        raise ValueError(f"a number {setting.range_words()}") from None
    return rate


@dataclass(frozen=True, slots=True)
class InsideState:
    """Run, epoch and image, and the choices made in each view.

    only: the class whose test images can be chosen, "" for all. layer, kernel, hand: the chosen layer of three views,
    "" for the first. stage: the chosen stage of the whole network. opened: last parts of the names of its expanded
    blocks. place: filter, or filter, row and column, of the chosen value; () for the strongest value of the first map.
    hand_channel: the input channel shown, -1 for the strongest. quantity: what the heat map of gradients shows. steps,
    rate, batch, rule: training steps taken, their learning rate (None for the default), batch size and update rule.
    batches: whether each takes the same batch or the next one. stepped, stepped_filter: the convolution and the filter whose step is shown. target: a class, or "answer" for the
    network's answer. cell: true and predicted class of a cell of the confusion matrix. distortion, level: how images
    are distorted, and the index of the level (None for the default). against: the run that is compared. caught: the map
    in which the lasso was drawn, and the images in it. upload: id of the file whose inversion was guessed.
    """

    run: str | None = param(None, str)
    epoch: int | None = param(None, whole(0, _MAX))
    view: str = param("network", one_of(VIEWS))
    source: str = param("test", one_of(SOURCES))
    drawing: str | None = param(None, str)
    image: int = param(0, whole(0, _MAX))
    only: str = ""
    cut: bool = True
    digit: int = 1
    upload: str = ""
    invert: bool = False
    layer: str = param("", str)
    kernel: str = param("", str)
    hand: str = param("", str)
    stage: str = param("", str)
    opened: tuple[str, ...] = param((), lambda text: tuple(split(text)))
    channel: int | None = param(None, whole(0, _MAX))
    order: str = "index"
    each: bool = False
    five: bool = False
    weights: str = "now"
    input_channel: int = 0
    place: tuple[int, ...] = param((), place_in((_MAX, _MAX, _MAX)))
    hand_channel: int = -1
    quantity: str = param("gradient", one_of(QUANTITIES))
    method: str = "saliency"
    target: int | str = "answer"
    rates: bool = False
    cell: tuple[int, int] | None = None
    gallery: str = "mistakes"
    distortion: str = param("rotation", one_of(DISTORTIONS))
    level: int | None = param(None, whole(0, _MAX))
    against: str | None = param(None, str)
    projection: str = "pca"
    points: int = 0
    caught: tuple[str, tuple[int, ...]] = ("", ())
    steps: int = param(0, whole(0, MAX_STEPS))
    rate: float | None = param(None, _read_rate)
    batch: int = param(8, whole(1, _MAX))
    rule: str = param(PLAIN, one_of(RULES))
    batches: str = param(SAME_BATCH, one_of(BATCHES))
    stepped: str = param("", str)
    stepped_filter: int = 0


INSIDE = PageState(InsideState, key="inside")
OF_VIEW = {
    "network": ("stage", "opened", "place"),
    "maps": ("layer", "channel"),
    "kernels": ("kernel",),
    "hand": ("hand", "place"),
    "gradients": ("quantity",),
    "step": ("steps", "rate", "batch", "batches", "rule", "stepped"),
    "robustness": ("distortion", "level", "against"),
}
"""Fields that are in the address for one view only."""


def leave_other_views(view: str) -> None:
    """Remove the fields of other views from the address; their values are kept for when these are shown again."""
    own = OF_VIEW.get(view, ())
    INSIDE.leave(*({name for names in OF_VIEW.values() for name in names} - set(own)))


def look_at(number: int) -> None:
    """Choose a test image by its number, in a callback."""
    INSIDE.change(source="test", image=number)
    INSIDE.show("source")
    INSIDE.show("image")
