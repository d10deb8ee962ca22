"""The views of pages whose text is recorded in `tests/golden/pages`.

The first view of each page is recorded in full, the others as differences from it. `python -m tests.golden.write_shown`
writes the files again.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from math import isclose
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from lab.runs.store import RunStore
from pages.cache.lab import get_lab
from pages.cache.torch_import import require_torch
from tests.golden.opening import GOLDEN, read_sections
from tests.golden.page_text import page_lines
from tests.golden.shown_lab import NOW, list_ids, plain
from tests.web.addresses import open_page

FOLDER = GOLDEN / "pages"
_HEAD = "## "
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:e[-\u2011]?[0-9]+)?")  # also with a non-breaking hyphen


def list_views() -> dict[str, tuple[str, ...]]:
    """Return addresses by the file that records them; each name in braces is replaced by an id (`list_ids`)."""
    two, seeds = (
        "{finished}.{one_cycle}",
        ".".join(f"{{{side}{seed}}}" for side in ("low", "high") for seed in range(5)),
    )
    return {
        "home": ("/",),
        "runs": (
            f"/runs?runs={two}",
            "/runs?q=tag:seeds+lr>0.002&sort=-test",
            "/runs?q=lr<<1&page=2",
            f"/runs?runs={two}.{{fork}}&look=differences",
            f"/runs?runs={two}.{{low0}}.{{low1}}&look=groups&by=optimizer",
            f"/runs?runs={seeds}&look=verdict",
            f"/runs?runs={two}&look=verdict&networks=1",
            f"/runs?runs={two}.{{low0}}.{{high0}}&look=parallel&own=1",
            f"/runs?runs={two}.{{low0}}.{{high0}}&look=pareto&cost=params&logx=1",
            "/runs?runs={finished}.{fine_tuned}.{fork}.{failed}&look=tree",
            f"/runs?runs={two}.{{early_stopped}}&smooth=1&logx=1&logy=1&x=epoch&curves=loss,lr&raw=0&test=1&full=1&fold=0",
        ),
        "reports": (
            "/runs?show=reports&report=C",
            "/runs?show=reports&report=D",
        ),
        "train": (
            "/train",
            "/train?arch=vgg11&dataset=mnist&lr=0.5&epochs=3&optimizer=sgd",
        ),
        "train-run": (
            "/train?run={finished}",
            "/train?run={running}",
            "/train?run={failed}",
            "/train?run={fork}",
            "/train?run={queued}",
            "/train?run={paused}",
            "/train?run={diverged}",
            "/train?run=example-overfit",
        ),
        "sweeps": ("/sweeps",),
        "sweep": (
            "/sweeps?sweep={half way}",
            "/sweeps?sweep={searched}",
            "/sweeps?sweep={half way}&look=best&rung=2",
            "/sweeps?sweep={searched}&look=parallel",
            "/sweeps?sweep={searched}&look=importance",
            "/sweeps?sweep={searched}&look=slices",
            "/sweeps?sweep={searched}&look=surface&x=momentum&y=lr",
        ),
        "machines": ("/machines",),
        "architecture": (
            "/architecture",
            "/architecture?arch=resnet-small&size=64&batch=32",
            "/architecture?arch=lenet-bn&view=graph",
            "/architecture?arch=lenet5&view=compare&with=basic-cnn",
            "/architecture?arch=lenet5&view=time",
        ),
        "inside": (
            "/inside?run={finished}&epoch=1&view=kernels",
            "/inside?run={finished}&epoch=2&view=maps&image=5&channel=1",
            "/inside?run={finished}&view=network&opened=features",
            "/inside?run={finished}&view=hand",
            "/inside?run={finished}&view=hand&hand=classifier.fc1&place=3",
            "/inside?run={finished}&view=hand&hand=features.conv2&place=1.2.3",
            "/inside?run={finished}&view=network&stage=features_conv2&place=1.2.3",
            "/inside?run={finished}&view=network&stage=classifier_fc1",
            "/inside?run={finished}&view=kernels&kernel=features.conv2",
            "/inside?run={finished}&view=gradients",
            "/inside?run={finished}&epoch=1&view=gradients&quantity=dead",
            "/inside?run={finished}&view=why&source=drawing&drawing={sketch_7}",
            "/inside?run={one_cycle}&view=answers&epoch=0",
            "/inside?run={finished}&view=map",
            "/inside?run={finished}&view=step&epoch=0&steps=2",
            "/inside?run={finished}&view=robustness&distortion=stroke&level=1&against={one_cycle}",
            "/inside",
            "/inside?run={queued}",
        ),
        "draw": (
            "/draw?runs={finished},{one_cycle}",
            "/draw?run={finished}&view=Why",
            "/draw?mode=Photo",
            "/draw?mode=Guess+game",
            "/draw?mode=My+drawings",
        ),
    }


def fix_lab() -> None:
    """Open the store that pages use with a fixed clock, unless it has one, and import torch.

    Before torch is imported, pages only show that they wait for it.
    """
    require_torch()
    lab = get_lab()
    if "store" not in vars(lab) or lab.store.context.clock is None:
        lab.store = RunStore.open(lab.settings.database, clock=lambda: NOW)


def show(address: str, home: Path) -> list[str]:
    """Return the lines of a page."""
    fix_lab()
    parts = urlsplit(address.format(**list_ids()))
    app = open_page(parts.path.strip("/") or "home", **dict(parse_qsl(parts.query)))
    return [plain(line, home).rstrip() for line in page_lines(app)]


def recorded(page: str) -> dict[str, list[str]]:
    """Return the recorded lines of each view of a page."""
    return read_sections(FOLDER / f"{page}.txt", head=_HEAD)


def different(lines: Sequence[str], first: Sequence[str]) -> list[str]:
    """Return the lines that a view adds to the first view of its file (+), and those it lacks (-).

    A block of lacking lines is written as its number of lines and its first line.
    """
    alike: dict[str, list[str]] = {}
    for line in first:
        alike.setdefault(_NUMBER.sub("", line), []).append(line)
    lines = [next((one for one in alike.get(_NUMBER.sub("", line), ()) if _alike(line, one)), line) for line in lines]
    found: list[str] = []
    for kind, start, end, begin, stop in difflib.SequenceMatcher(None, first, lines, autojunk=False).get_opcodes():
        if kind != "equal":
            if end > start:
                found.append(f"- {end - start} lines: {first[start].strip()[:60].strip()}")
            found += [f"+ {line}" for line in lines[begin:stop]]
    return found


def differences(found: Sequence[str], expected: Sequence[str]) -> list[str]:
    """Return the differences of a view from its recording as a unified diff, [] if there are none.

    Other processors round differently: numbers with a decimal point may differ by 0.2 %, and numbers below one
    millionth, which are only rounding errors, are not compared.
    """
    if len(found) == len(expected) and all(map(_alike, found, expected)):
        return []
    return list(difflib.unified_diff(expected, found, "recorded", "shown", lineterm="", n=0))


def _alike(found: str, expected: str) -> bool:
    if found == expected:
        return True
    if _NUMBER.split(found) != _NUMBER.split(expected):
        return False
    return all(map(_equal, _NUMBER.findall(found), _NUMBER.findall(expected)))


def _equal(one: str, other: str) -> bool:
    if one == other:
        return True
    numbers = [float(text.replace("\u2011", "-")) for text in (one, other)]
    if min(numbers) > 0 and max(numbers) < 1e-6:
        return True
    return "." in one + other and isclose(*numbers, rel_tol=2e-3)


def write_pages(home: Path) -> None:
    """Write the lines of every view."""
    FOLDER.mkdir(exist_ok=True)
    for page, views in list_views().items():
        text = "".join(f"{line}\n" for line in _file(views, home))
        (FOLDER / f"{page}.txt").write_text(text, encoding="utf-8")


def _file(views: Sequence[str], home: Path) -> Iterator[str]:
    first: list[str] = []
    for address in views:
        lines = show(address, home)
        yield _HEAD + address
        yield from different(lines, first) if first else lines
        first = first or lines
