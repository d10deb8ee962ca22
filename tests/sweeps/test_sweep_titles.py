"""Titles of sweeps that nobody has named: what they vary and where, made when they are shown."""

from pathlib import Path

import pytest

from lab.architectures.registry import list_architectures
from lab.config import FIELDS
from lab.data.registry import list_datasets
from lab.runs.edits import NAME_LIMIT
from lab.runs.sweep_titles import default_title, sweep_title
from lab.sweeps.spec import MAX_TRIALS, UNNAMED
from tests.sweeps.sweep_runs import small_spec
from tests.worker.worker_runs import open_lab

LR, SIZE, DECAY = (
    {name: {"values": values}} for name, values in (("lr", [0.1]), ("batch_size", [8]), ("weight_decay", [0.1]))
)


@pytest.mark.parametrize(
    ("space", "title"),
    [
        (LR, "Learning rate of LeNet-5 on Digits (built in)"),
        (LR | SIZE, "Batch size and learning rate of LeNet-5 on Digits (built in)"),
        (LR | SIZE | DECAY, "Batch size, learning rate and weight decay of LeNet-5 on Digits (built in)"),
        (
            LR | SIZE | DECAY | {"optimizer": {"values": ["sgd", "adam"]}},
            "Batch size, optimizer and 2 more of LeNet-5 on Digits (built in)",
        ),
        ({"arch": {"values": ["lenet5", "vgg11"]}}, "Network on Digits (built in)"),
    ],
)
def test_an_unnamed_sweep_is_titled_by_what_it_varies_and_where(space: dict[str, object], title: str) -> None:
    base = {"arch": "lenet5", "dataset": "digits", "epochs": 4}
    assert default_title(small_spec(base=base, space=space)) == title


def test_a_stored_sweep_without_a_name_has_its_title_and_is_not_rewritten(tmp_path: Path) -> None:
    store = open_lab(tmp_path).store
    unnamed, named = store.sweeps.create(small_spec(name="")), store.sweeps.create(small_spec(name="mine"))
    assert sweep_title(unnamed) == default_title(small_spec())
    assert sweep_title(named) == "mine"
    assert store.sweeps.resolve(sweep_title(unnamed)).id == unnamed.id  # what a list shows can be typed
    assert store.sweeps.resolve(unnamed.id).name == UNNAMED


def test_the_names_of_trials_have_room_for_the_longest_title() -> None:
    labels = sorted((len(field.label) for field in FIELDS.values()), reverse=True)
    network = max(len(spec.title) for spec in list_architectures())
    data = max(len(spec.title) for spec in list_datasets())
    assert sum(labels[:3]) + len(",  and  of  on ") + network + data + len(f" {MAX_TRIALS}") <= NAME_LIMIT
