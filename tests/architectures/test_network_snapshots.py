"""Every network as text: for each layer its settings, inputs, output shape, weights and receptive field.

The totals in the texts are counted by torchinfo, and `test_networks.py` compares them with those of the reports.
"""

import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.architectures.registry import get_architecture, list_architectures
from lab.architectures.spec import Architecture, ArchOption
from lab.errors import ConfigError
from lab.inspection.graph import trace_graph
from tests.every_network import EVERY_NETWORK
from tests.snapshots import check, flat

NETWORKS = [arch.id for arch in list_architectures()]


def on_meta(id: str, **arguments) -> nn.Module:
    with torch.device("meta"):
        return build_network(id, **arguments)


def another(option: ArchOption) -> object:
    if option.kind is bool:
        return not option.default
    if option.kind is list:
        return [item + 4 + 2 * place for place, item in enumerate(option.default)]
    if option.is_layer_list:
        return "conv 4 3, tanh, avgpool 3"
    if option.kind is str:
        return option.choices[1]
    return option.default + (3 if option.kind is int else 0.0625)


# Attributes that determine what a layer computes, with torch's defaults, which are omitted.
SETTINGS = {
    "in_channels": None,
    "out_channels": None,
    "in_features": None,
    "out_features": None,
    "num_features": None,
    "size": None,
    "random": False,
    "kernel_size": None,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "padding_mode": "zeros",
    "ceil_mode": False,
    "count_include_pad": True,
    "output_size": None,
    "start_dim": 1,
    "end_dim": -1,
    "p": None,
    "inplace": False,
    "eps": 1e-5,
    "momentum": 0.1,
    "affine": True,
    "track_running_stats": True,
}

# Abbreviations of the most frequent attributes.
SHORT = {
    "in_channels": "",
    "out_channels": "→",
    "in_features": "",
    "out_features": "→",
    "num_features": "",
    "kernel_size": "k",
    "stride": "s",
    "padding": "p",
}


def settings(layer: nn.Module) -> str:
    """Return the class and the settings that differ from torch's defaults, such as "Conv2d 1 →6 k5"."""
    found = {name: getattr(layer, name, default) for name, default in SETTINGS.items()}
    found = {
        name: value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value for name, value in found.items()
    }
    words = [f"{SHORT.get(name, f'{name}=')}{value}" for name, value in found.items() if value != SETTINGS[name]]
    plain = ["without bias"] if getattr(layer, "bias", ...) is None else []
    return " ".join([type(layer).__name__, *words, *plain])


def layers_of(network: nn.Module) -> list[str]:
    """Return a line per layer and join: name, settings, inputs, output shape, weights and receptive field."""
    modules = dict(network.named_modules())
    nodes = trace_graph(network, input_shape=(1, 1, 28, 28))
    names = {node.id: node.name for node in nodes}
    lines, last = [], ""
    for node in nodes:
        what = settings(modules[node.name]) if node.name in modules else node.type
        if node.kind.folds and node.inputs == (last,):  # appended to the line of the layer before it
            lines[-1] += f" · {node.name.rpartition('.')[2]} {what}"
        else:
            shape = "×".join(map(str, node.output_shape[1:]))
            field = f"{node.field.size}/{node.field.stride} from {node.field.window(0)[0]}" if node.field else "-"
            before = " + ".join(names[each] for each in node.inputs if each != last)
            lines.append(f"{node.name} | {what} | {before} | {shape} | {node.params} | {field}")
        last = node.id
    return lines


def settings_of(network: nn.Module) -> list[str]:
    """Return a line per layer, including those that run only in training, and per tensor that is never trained."""
    lines = [f"{name} | {settings(layer)}" for name, layer in network.named_modules() if not list(layer.children())]
    return [*lines, *(f"{name} | fixed" for name, each in network.named_parameters() if not each.requires_grad)]


def changed(id: str, plain: nn.Module, **arguments) -> list[str]:
    known = set(settings_of(plain))
    return [line for line in settings_of(on_meta(id, **arguments)) if line not in known]


@pytest.mark.parametrize("id", EVERY_NETWORK)
def test_the_layers_of_a_network_and_the_effect_of_each_option_match_the_snapshot(id: str) -> None:
    arch, plain = get_architecture(id), on_meta(id)
    lines = [flat(facts_of(arch)), "", *layers_of(plain)]
    for option in arch.options:
        value = another(option)
        lines += ["", f"{option.name} = {value}:", *changed(id, plain, options={option.name: value})]
    lines += ["", "3 channels, 7 classes, 36 pixels:", *changed(id, plain, classes=7, channels=3, image_size=36)]
    check(f"networks/{id}.txt", "\n".join(lines).replace("features.", "…"))


def facts_of(arch: Architecture) -> dict[str, object]:
    facts = {name: getattr(arch, name) for name in arch.__slots__ if name != "options"}
    keeping = {True: " Keeps the layers.", False: ""}
    return facts | {o.name: f"{o.default}: {o.rule()}; {o.help}{keeping[o.keeps_layers]}" for o in arch.options}


def weights_of(id: str) -> str:
    """Return the mean and standard deviation of each tensor of a network built with a fixed seed."""
    torch.manual_seed(7)
    tensors = {name: each.double() for name, each in build_network(id).state_dict().items()}
    return flat(
        {name: f"{float(each.mean()):.5f} ± {float(each.std(correction=0)):.5f}" for name, each in tensors.items()}
    )


@pytest.mark.parametrize("id", ["lenet-bn", "resnet-small", "vgg-small", "speedrun-cnn"])
def test_the_initial_weights_of_a_network_match_the_snapshot(id: str) -> None:
    check(f"first_weights/{id}.txt", weights_of(id))


WRONG = [
    (arch.id, option.name, value)
    for arch in list_architectures()
    for option in arch.options
    if not option.is_layer_list  # tests/architectures/test_layer_list.py
    for value in (
        ["a", "", None, True, 1]
        if option.kind is str
        else [option.low - 1, option.high + 1, "a", None, True]
        if option.kind is not list
        else [
            [],
            [option.low - 1] * option.items[0],
            [option.high + 1] * option.items[0],
            [1] * (option.items[1] + 1),
            [1.5],
        ]
    )
    if not (option.kind is bool and value is True)
]


def test_values_outside_the_range_of_an_option_are_refused_with_its_rule() -> None:
    for id, name, value in WRONG:
        option = get_architecture(id).option(name)
        with pytest.raises(ConfigError, match="but it must be") as caught:
            option.check(value, arch=id)
        assert caught.value.field == "arch_options"
        assert (
            str(caught.value)
            == f"{id} has {name} = {value!r}, but it must be {option.rule()}. The default is {option.default}."
        )


@pytest.mark.parametrize("id", NETWORKS)
def test_the_limits_of_the_range_of_an_option_are_accepted(id: str) -> None:
    for option in get_architecture(id).options:
        if option.kind is list:
            low, high = option.items
            for value in ([option.low] * low, [option.high] * high):
                assert option.check(tuple(int(each) for each in value), arch=id) == [int(each) for each in value]
        elif option.kind is str:
            assert [option.check(choice, arch=id) for choice in option.choices] == list(option.choices)
        elif option.kind is not bool:
            for end in (option.low, option.high):
                assert option.check(option.kind(end), arch=id) == end
