"""The registry is the only list of names: complete, without torch, and with suggestions for unknown names."""

import re
import subprocess
import sys

import numpy as np
import pytest

from lab.architectures.registry import (
    Architecture,
    ArchOption,
    check_options,
    complete_options,
    get_architecture,
    list_architectures,
    make_registry,
    resolve_input_size,
)
from lab.errors import ConfigError, UnknownNameError

REPORTS = {
    "conv2-fc2",
    "conv3-bn",
    "conv2-bn",
    "wide-cnn",
    "basic-cnn",
    "lenet5",
    "lenet-bn",
    "alexnet",
    "vgg11",
    "vgg19",
    "mobilenet",
    "resnet18",
    "googlenet",
    "vgg16-64",
    "vgg-small",
    "resnet18-tv",
    "resnet-small",
}


def test_every_network_of_the_reports_and_three_more_are_registered() -> None:
    assert {arch.id for arch in list_architectures()} == REPORTS | {"speedrun-cnn", "pytorch-example", "custom"}


def test_the_registry_does_not_import_torch() -> None:
    code = "import sys, lab.architectures.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_id_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match=r"no network 'lenet-5'. Did you mean 'lenet5'\?"):
        get_architecture("lenet-5")


def test_an_id_cannot_be_registered_twice_or_without_a_description() -> None:
    lenet = get_architecture("lenet5")
    with pytest.raises(ValueError, match="'lenet5' is registered twice"):
        make_registry([lenet, lenet])
    undescribed = type(lenet)(**{f: getattr(lenet, f) for f in lenet.__slots__} | {"description": ""})
    with pytest.raises(ValueError, match="needs a description"):
        make_registry([undescribed])


@pytest.mark.parametrize("arch", list_architectures(), ids=lambda a: a.id)
def test_each_option_accepts_its_default(arch) -> None:
    assert check_options(arch, {o.name: o.default for o in arch.options}) == {}
    assert complete_options(arch, {}) == {o.name: o.default for o in arch.options}


def test_only_options_that_differ_from_their_defaults_are_returned() -> None:
    arch = get_architecture("wide-cnn")
    options = {"widths": (8, 16), "batch_norm": True, "hidden": [1024, 256]}
    assert check_options(arch, options) == {"widths": [8, 16]}


@pytest.mark.parametrize(
    ("arch", "options", "message"),
    [
        ("lenet5", {"widht": [1, 2]}, r"no option 'widht'. Did you mean 'widths'\?"),
        ("resnet18", {"widths": [1]}, "it has no options"),
        ("lenet5", {"widths": [6]}, "must be 2 whole numbers, each at least 1 and at most 4096"),
        ("wide-cnn", {"widths": [0, 3]}, "each at least 1"),
        ("wide-cnn", {"widths": "32,64"}, "must be 1 to 6 whole numbers"),
        ("lenet-bn", {"dropout": float("nan")}, "a number, at least 0 and at most 0.95"),
        ("lenet-bn", {"dropout": True}, "a number, at least 0"),
        ("lenet-bn", {"batch_norm": 1}, "must be true or false"),
        ("basic-cnn", {"hidden": 0}, "a whole number, at least 1"),
    ],
)
def test_an_invalid_option_is_refused_with_the_value_the_rule_and_advice(
    arch: str, options: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_options(get_architecture(arch), options)


def test_input_sizes_resolve_to_pixels() -> None:
    lenet, vgg = get_architecture("lenet-bn"), get_architecture("vgg11")
    assert resolve_input_size(lenet, "auto", image_size=28) == 28
    assert resolve_input_size(vgg, "auto") == 224
    assert resolve_input_size(vgg, "native", image_size=16) == 16
    assert resolve_input_size(vgg, "64") == 64
    with pytest.raises(ConfigError, match="input_size is '65'"):
        resolve_input_size(vgg, "65")


def test_a_single_number_or_a_tuple_is_accepted_as_a_list() -> None:
    assert check_options(get_architecture("wide-cnn"), {"widths": 7, "hidden": (5, 6)}) == {
        "widths": [7],
        "hidden": [5, 6],
    }
    with pytest.raises(ConfigError, match="must be 1 to 6 whole numbers"):
        check_options(get_architecture("wide-cnn"), {"widths": True})


def test_an_option_with_choices_accepts_one_of_them() -> None:
    option = ArchOption("mode", str, "near", "How.", choices=("near", "far"))
    assert (option.rule(), option.check("far", arch="toy"), option.keeps_layers) == ("one of near, far", "far", False)
    for value in ("middle", "", 3, None, ["far"]):
        with pytest.raises(ConfigError, match=r"but it must be one of near, far\. The default is near\."):
            option.check(value, arch="toy")


@pytest.mark.parametrize("arch", list_architectures(), ids=lambda arch: arch.id)
def test_a_description_has_no_number_that_its_options_change(arch: Architecture) -> None:
    numbers = {int(number) for number in re.findall(r"\d+", arch.description.replace(",", ""))}
    sizes = [np.atleast_1d(option.default) for option in arch.options if option.kind in (int, list)]
    assert not numbers & {int(size) for each in sizes for size in each}
    assert not re.search(r"\d (parameters|weights)", arch.description)
