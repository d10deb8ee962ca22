"""Properties that follow from a data set's record (drawable, image shape), and errors for contradictory records."""

from dataclasses import replace
from typing import Any

import pytest

from lab.data.registry import (
    built_in_dataset,
    choose_dataset,
    get_dataset_spec,
    is_imported,
    list_datasets,
    register_dataset,
)
from lab.errors import InputError, UnknownNameError

DIGITS = get_dataset_spec("digits")


@pytest.mark.parametrize(
    ("changes", "drawable", "shape", "digits"),
    [
        ({}, True, (1, 28, 28), True),
        ({"by_hand": False}, False, (1, 28, 28), True),
        ({"recipe": None}, False, (1, 28, 28), True),
        ({"classes": ("0", "a")}, True, (1, 28, 28), False),
        ({"classes": ("1", "7")}, True, (1, 28, 28), True),
        ({"recipe": None, "channels": 3, "image_size": 32}, False, (3, 32, 32), True),
    ],
)
def test_image_properties_follow_from_the_record(
    changes: dict[str, Any], drawable: bool, shape: tuple[int, int, int], digits: bool
) -> None:
    spec = replace(DIGITS, **changes)
    assert (spec.drawable, spec.image_shape, spec.has_digits, spec.built_in) == (drawable, shape, digits, True)
    if spec.recipe:
        assert spec.require_recipe() is DIGITS.recipe
    else:
        what = "colour images" if shape[0] > 1 else "no recipe for drawings"
        with pytest.raises(InputError, match=rf"has {what}, so .* a picture file of {shape[1]}×{shape[1]} pixels"):
            spec.require_recipe()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "digits"}, "is already registered: choose another id"),
        ({"id": "Two words"}, "has an invalid id"),
        ({"id": "imported-mnist-0123456789ab"}, "has an invalid id"),
        ({"description": ""}, "needs a description and a source"),
        ({"source": ""}, "needs a description and a source"),
        ({"classes": ("only",)}, "has 1 classes, but needs at least two"),
        ({"image_size": 0, "recipe": None}, r"has images of \(1, 0, 0\), but every number must be at least 1"),
        ({"channels": 0, "recipe": None}, r"has images of \(0, 28, 28\), but every number"),
        ({"channels": 3}, r"has images of \(3, 28, 28\), but its recipe makes drawings of \(1, 28, 28\)"),
        ({"image_size": 32}, r"has images of \(1, 32, 32\), but its recipe makes drawings"),
    ],
)
def test_a_contradictory_record_is_refused(changes: dict[str, Any], words: str) -> None:
    before = list_datasets()
    with pytest.raises(InputError, match=words):
        register_dataset(replace(DIGITS, **{"id": "toy", **changes}))
    assert list_datasets() == before


def test_the_first_available_data_set_is_the_default_else_the_built_in_one() -> None:
    assert choose_dataset(["digits", "kmnist", "mnist"]).id == "mnist"
    assert choose_dataset(["kmnist"]).id == "kmnist"
    assert choose_dataset([]) is built_in_dataset() is DIGITS
    assert [is_imported(id) for id in ("imported-mnist-0123456789ab", "drawings-mnist-0123456789ab", "mnist")] == [
        True,
        False,
        False,
    ]
    for wrong in ("imported-mnist-0123456789a", "imported-mnist-0123456789abc", "imported-nothing-0123456789ab"):
        with pytest.raises(UnknownNameError, match="There is no data set"):
            get_dataset_spec(wrong)
