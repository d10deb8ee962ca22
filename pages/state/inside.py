"""What the Inside page shows and remembers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pages.state.codec import one_of, param, whole
from pages.state.page_state import PageState

VIEWS = {
    "network": "Whole network",
    "maps": "Feature maps",
    "kernels": "Kernels",
    "hand": "Convolution",
    "why": "Why this answer",
    "answers": "Right and wrong",
    "map": "Map of images",
}
SOURCES = {"test": "Test", "drawing": "Drawing", "upload": "Upload"}
_MOST = 10**9  # the page knows how many epochs and images there are


@dataclass(frozen=True, slots=True)
class InsideState:
    """Run, epoch and image, and for each view what was chosen there.

    only: the class whose test images can be chosen, "" for all. layer, kernel, hand: the chosen layer of three views. stage, opened: the chosen stage of the whole network, and its
    blocks that are open. place: filter, row and column of the value that is taken apart; hand_channel: the input channel shown,
    -1 for the one that adds most. target: a class, or "answer" for the one
    the network gives. cell: truth and answer of the confusion matrix. caught: which map a lasso was drawn in, and the
    images in it. upload: id of the file whose inversion was guessed.
    """

    run: str | None = param(None, str)
    epoch: int | None = param(None, whole(0, _MOST))
    view: str = param("network", one_of(VIEWS))
    source: str = param("test", one_of(SOURCES))
    drawing: str | None = param(None, str)
    image: int = param(0, whole(0, _MOST))
    only: str = ""
    cut: bool = True
    digit: int = 1
    upload: str = ""
    invert: bool = False
    layer: str = ""
    kernel: str = ""
    hand: str = ""
    stage: str = ""
    opened: tuple[str, ...] = ()
    channel: int | None = None
    order: str = "index"
    each: bool = False
    five: bool = False
    weights: str = "now"
    input_channel: int = 0
    place: Mapping[str, int] = field(default_factory=dict)
    hand_channel: int = -1
    method: str = "saliency"
    target: int | str = "answer"
    rates: bool = False
    cell: tuple[int, int] | None = None
    gallery: str = "mistakes"
    projection: str = "pca"
    points: int = 0
    caught: tuple[str, tuple[int, ...]] = ("", ())


INSIDE = PageState(InsideState, key="inside")


def look_at(number: int) -> None:
    """Take a test image by its number, in a callback."""
    INSIDE.change(source="test", image=number)
    INSIDE.show("source")
    INSIDE.show("image")
