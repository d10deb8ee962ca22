"""Every parameter of every page's address: its name, its default, valid and invalid texts, and that it round-trips."""

from dataclasses import fields
from typing import Any

import pytest

from pages.state.architecture import ArchitectureState
from pages.state.asking import AskingState
from pages.state.codec import decode, defaults_of, encode, params_of
from pages.state.draw import DrawState
from pages.state.inside import InsideState
from pages.state.runs_view import RunsView
from pages.state.sweeps import SweepsState
from pages.state.train import TrainState

RUN = "0123456789ab"
MAX_IDS = ".".join(f"{number:012x}" for number in range(60))
TEXTS = {
    ArchitectureState: {
        "arch": ("vgg11", "lenet9"),
        "size": ("native 32 64 224", "0 31 auto."),
        "batch": ("1 65536 63", "0 65537 -1 1.5 ²"),
        "view": ("graph compare time", "Layers graphs"),
        "with": ("lenet5 vgg11", "lenet"),
        "with_size": ("native 32", "1"),
    },
    AskingState: {"owner": ("ann x" + 39 * "y", "a\nb " + 300 * "y")},
    DrawState: {
        "mode": ("Photo|Guess game|My drawings", "draw Game"),
        "view": ("Why Inside Keep", "Save network"),
    },
    InsideState: {
        "run": (RUN, ""),
        "epoch": ("0 7 1000000000", "-1 1000000001 1.0"),
        "view": ("maps kernels hand gradients step why answers robustness map", "Maps networks"),
        "source": ("drawing upload", "Test"),
        "drawing": (RUN, ""),
        "image": ("1 1000000000", "-1 1000000001 x"),
        "layer": ("features.conv1", ""),
        "kernel": ("features.conv1", ""),
        "hand": ("features.conv1", ""),
        "stage": ("features_conv1", ""),
        "opened": ("a a.b", ""),
        "channel": ("0 3", "-1 x"),
        "place": ("0 3 1.2.3", "1.2 1.2.3.4 x -1"),
        "quantity": ("ratio change zeros dead", "Gradient gradients"),
        "distortion": ("shift size slant stroke blur noise contrast occlusion", "Shift rotate"),
        "level": ("0 12", "-1 x"),
        "against": (RUN, ""),
        "steps": ("1 200", "201 -1 x"),
        "rate": ("1e-06 0.05 100.0", "0 -1 101 nan inf x"),
        "batch": ("16 64", "0 -8 x"),
        "rule": ("own", "adam Own"),
        "batches": ("next", "both"),
        "stepped": ("features.conv1", ""),
    },
    RunsView: {
        "show": ("reports", "report"),
        "q": ("lenet tag:a", ""),
        "sort": ("lr -lr name -test", "-nothing"),
        "page": ("2 999999", "0 -1 1000000 ² 1.0"),
        "runs": (f"abcd {RUN} {RUN}.example-overfit {MAX_IDS}", f"abc ABCD {33 * 'a'} example-"),
        "colours": ("1 59.0.3", "60 123 x -1 " + ".".join(61 * ["1"])),
        "look": ("differences groups verdict parallel pareto tree", "Curves"),
        "curves": ("accuracy loss.lr", "nothing"),
        "x": ("epoch", "steps"),
        "smooth": ("1 2 1000", "3 -1 x 1.5 2000"),
        "raw": ("0", "2 true"),
        "logx": ("1", "2"),
        "logy": ("1", "-1"),
        "fold": ("0", "00"),
        "test": ("1", "x"),
        "full": ("1", "x"),
        "by": ("lr optimizer", "lrs"),
        "result": ("val_loss seconds", "test"),
        "own": ("1", "x"),
        "cost": ("params", "money"),
        "a": (f"{RUN} example-overfit", "abc"),
        "b": (RUN, "xyz"),
        "networks": ("1", "x"),
        "report": ("A B C E", "F d"),
    },
    SweepsState: {
        "sweep": (RUN, ""),
        "look": ("best parallel importance slices surface", "one"),
        "rung": ("2 99", "0 100 -1"),
        "x": ("lr momentum", "lrs"),
        "y": ("lr momentum", "lrs"),
    },
    TrainState: {"run": (RUN, ""), "baseline": (RUN, "")},
}
CASES = [(record, name, *texts) for record, parts in TEXTS.items() for name, texts in parts.items()]


def _split(texts: str) -> list[str]:
    return texts.split("|") if "|" in texts else texts.split(" ") if texts else []


@pytest.mark.parametrize(("record", "name", "valid", "invalid"), CASES, ids=[f"{c[0].__name__}.{c[1]}" for c in CASES])
def test_a_parameter_of_an_address_round_trips_or_is_refused_by_name(
    record: Any, name: str, valid: str, invalid: str
) -> None:
    blank = record()
    own = next(own for own, each in params_of(record).items() if each.name == name)
    for text in _split(valid):
        read, problems = decode(record, {name: text})
        assert problems == (), text
        assert encode(read) == {name: text}
        assert [each.name for each in fields(record) if getattr(read, each.name) != getattr(blank, each.name)] == [own]
    for text in _split(invalid):
        read, problems = decode(record, {name: text})
        assert read == blank, text
        assert len(problems) == 1, text
        if record is not RunsView or name != "sort":  # the message about an order names the key instead
            assert f"{name}=" in problems[0]


@pytest.mark.parametrize(
    ("name", "text", "applied"),
    [
        ("runs", f"abcd.x0.{RUN}", ("abcd", RUN)),
        ("runs", f"{MAX_IDS}.abcdef", tuple(MAX_IDS.split("."))),
        ("curves", "loss.nothing.lr", ("loss", "lr")),
    ],
)
def test_the_valid_items_of_a_partly_invalid_list_are_applied(name: str, text: str, applied: tuple[str, ...]) -> None:
    read, problems = decode(RunsView, {name: text})
    assert getattr(read, name) == applied
    assert len(problems) == 1
    assert problems[0].startswith(f"The address has {name}=")


@pytest.mark.parametrize("record", TEXTS)
def test_each_parameter_is_in_the_table_and_its_default_is_not_written(record: Any) -> None:
    assert {each.name for each in params_of(record).values()} == set(TEXTS[record])
    assert encode(record()) == {}
    assert defaults_of(record) == {own: getattr(record(), own) for own in params_of(record)}


@pytest.mark.parametrize(
    ("text", "steps"), [("0", 1), ("0.5", 2), ("0.6", 5), ("0.9", 20), ("0.98", 100), ("0.99", 200), ("0.999", 1000)]
)
def test_a_smoothing_weight_of_an_older_link_becomes_an_equivalent_number_of_steps(text: str, steps: int) -> None:
    """Both means have the same average age with (1 + weight) / (1 - weight) steps; the nearest choice is taken."""
    assert decode(RunsView, {"smooth": text})[0].smooth == steps
