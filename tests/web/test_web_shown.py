"""The recorded texts of all pages of one lab, in about sixty views, and the recorded effects of clicks.

They are in `tests/golden/pages` and `presses.txt`, written by `python -m tests.golden.write_shown`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden import shown_pages, shown_presses
from tests.golden.shown_lab import shown_lab

_SLOW = ("networks=1", "importance", "vgg11")  # the views that take longest
VIEWS = [
    pytest.param(file, address, id=address, marks=pytest.mark.long if any(word in address for word in _SLOW) else ())
    for file, addresses in shown_pages.list_views().items()
    for address in addresses
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the home of the lab that is shown; the views only read."""
    home = tmp_path_factory.mktemp("shown") / "home"
    with shown_lab(home):
        yield home


@pytest.mark.parametrize(("file", "address"), VIEWS)
def test_a_page_shows_what_is_recorded(home: Path, file: str, address: str) -> None:
    first, *_ = views = shown_pages.recorded(file)
    lines = shown_pages.show(address, home)
    found = lines if address == first else shown_pages.different(lines, views[first])
    changed = shown_pages.differences(found, views[address])
    assert not changed, "\n".join([*changed, "If this is meant: python -m tests.golden.write_shown"])


@pytest.mark.parametrize(
    ("found", "recorded", "alike"),
    [
        ("loss 0.50001, n = 3", "loss 0.5, n = 3", True),
        ("loss 0.502", "loss 0.5", False),
        ("n = 3", "n = 4", False),
        ("n = 3", "n is 3", False),
        ("a difference of 3e-08", "a difference of 9e-08", True),
        ("a difference of 3e-06", "a difference of 9e-06", False),
        ("a difference of 3e-08", "a difference of 0", False),
    ],
)
def test_only_numbers_that_processors_round_differently_may_differ(found: str, recorded: str, alike: bool) -> None:
    assert (shown_pages.differences([found], [recorded]) == []) is alike


def test_no_other_view_is_recorded() -> None:
    assert {path.stem: tuple(shown_pages.recorded(path.stem)) for path in shown_pages.FOLDER.iterdir()} == (
        shown_pages.list_views()
    )


@pytest.mark.long
@pytest.mark.parametrize("case", shown_presses.CASES)
def test_a_click_does_what_is_recorded(tmp_path: Path, case: str) -> None:
    changed = shown_pages.differences(shown_presses.press(case, tmp_path / "home"), shown_presses.recorded()[case])
    assert not changed, "\n".join([*changed, "If this is meant: python -m tests.golden.write_shown"])


def test_no_other_click_is_recorded() -> None:
    assert tuple(shown_presses.recorded()) == shown_presses.CASES
