"""Describes a network by the constructor calls that build it, read from its modules.

`describe` walks the modules; `Call.build` makes the calls, so that the caller can check that they give the same initial
weights. This is not possible for a network whose weights are initialised in another order than its layers are listed
(the weights differ) or with a module whose arguments are not attributes (`describe` returns None). Exported code then
calls the network's builder instead.
"""

import inspect
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lab.seeding import seed_everything

_INDENT = "    "
_WIDTH = 100  # longer calls are broken into lines
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)
_ALWAYS_SHOWN = ("p",)  # dropout's rate: readers should not have to know torch's default


@dataclass(frozen=True, slots=True)
class Call:
    """One constructor call. Arguments are plain values, calls, or named layers (`Layers`)."""

    type: type[nn.Module]
    arguments: tuple[Any, ...] = ()
    keywords: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Name of the class in the source; torch's own have the prefix `nn.`."""
        return f"nn.{self.type.__name__}" if _is_torch(self.type) else self.type.__name__

    def build(self) -> nn.Module:
        """Return the module that the call creates; arguments are evaluated in the order of the source."""
        positional = [_built(value) for value in self.arguments]
        return self.type(*positional, **{name: _built(value) for name, value in self.keywords})

    def source(self, level: int = 0) -> str:
        """Return the source of the call. level: indentation of its line."""
        parts = [*map(_plain, self.arguments), *(f"{name}={_plain(value)}" for name, value in self.keywords)]
        line = f"{self.name}({', '.join(parts)})"
        if len(line) + len(_INDENT) * level <= _WIDTH and "OrderedDict" not in line:
            return line
        inside = [_written(value, level + 1) for value in self.arguments]
        inside += [f"{name}={_written(value, level + 1)}" for name, value in self.keywords]
        if len(inside) == 1 and self.arguments and isinstance(self.arguments[0], Layers):
            return f"{self.name}({self.arguments[0].source(level)})"
        pad = _INDENT * (level + 1)
        return f"{self.name}(\n" + "".join(f"{pad}{part},\n" for part in inside) + _INDENT * level + ")"


@dataclass(frozen=True, slots=True)
class Layers:
    """The named layers of an `nn.Sequential`."""

    items: tuple[tuple[str, Call], ...]

    def source(self, level: int = 0) -> str:
        """Return the source of an OrderedDict, one layer per line."""
        pad = _INDENT * (level + 1)
        lines = [f"{pad}({name!r}, {call.source(level + 1)}),\n".replace("'", '"') for name, call in self.items]
        return "OrderedDict([\n" + "".join(lines) + _INDENT * level + "])"


def _written(value: Any, level: int) -> str:
    return value.source(level) if isinstance(value, Call | Layers) else repr(value)


def _plain(value: Any) -> str:
    return _written(value, 0)


def _built(value: Any) -> Any:
    if isinstance(value, Layers):
        return OrderedDict((name, call.build()) for name, call in value.items)
    return value.build() if isinstance(value, Call) else value


def describe(module: nn.Module) -> Call | None:
    """Return the call that builds a module like this one, None if it cannot be determined."""
    if isinstance(module, nn.Sequential):
        return _describe_sequence(module)
    arguments = _arguments(module)
    return None if arguments is None else Call(type(module), *arguments)


def used_types(call: Call) -> Iterator[type[nn.Module]]:
    """Yield the classes of a description that do not belong to torch, inner ones first."""
    values = [*call.arguments, *(value for _, value in call.keywords)]
    for value in values:
        inner = [c for _, c in value.items] if isinstance(value, Layers) else [value] if isinstance(value, Call) else []
        for one in inner:
            yield from used_types(one)
    if not _is_torch(call.type):
        yield call.type


def _is_torch(type_: type) -> bool:
    return type_.__module__.startswith("torch.nn.")


def _describe_sequence(module: nn.Sequential) -> Call | None:
    items = [(name, describe(child)) for name, child in module.named_children()]
    calls = [(name, call) for name, call in items if call is not None]
    own = {} if _is_torch(type(module)) else vars(type(module))
    if len(calls) < len(items) or "__init__" in own:
        return None
    # A subclass that adds nothing but a name is written as an ordinary nn.Sequential.
    kind: type[nn.Module] = type(module) if any(map(inspect.isfunction, own.values())) else nn.Sequential
    if [name for name, _ in calls] == [str(index) for index in range(len(calls))]:
        return Call(kind, tuple(call for _, call in calls))
    return Call(kind, (Layers(tuple(calls)),))


def _arguments(module: nn.Module) -> tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]] | None:
    """Return positional and keyword arguments of the constructor, without defaults; None if they are not attributes."""
    positional, keywords = [], []
    for parameter in list(inspect.signature(type(module).__init__).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or parameter.name in ("device", "dtype"):
            continue
        if not hasattr(module, parameter.name):
            return None
        value = _value(module, parameter.name)
        if value is None and isinstance(getattr(module, parameter.name), nn.Module):
            return None
        if parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(value)
        elif parameter.name in _ALWAYS_SHOWN or not _is_default(module, parameter, value):
            keywords.append((parameter.name, value))
    return tuple(positional), tuple(keywords)


def _value(module: nn.Module, name: str) -> Any:
    value = getattr(module, name)
    if isinstance(value, nn.Module):
        return describe(value)
    if _is_torch(type(module)) and name == "bias":
        return value is not None
    if isinstance(value, tuple) and value and all(item == value[0] for item in value):
        return value[0]  # (5, 5) is 5
    return value


def _is_default(module: nn.Module, parameter: inspect.Parameter, value: Any) -> bool:
    if isinstance(module, _POOLS) and parameter.name == "stride":
        return bool(value == _value(module, "kernel_size"))
    if isinstance(value, Call):
        return value == Call(nn.Identity)  # represents "none" in a residual block
    return type(value) is type(parameter.default) and value == parameter.default


def same_weights(call: Call, network: nn.Module, *, seed: int) -> bool:
    """Whether the call, after seeding, gives the network's initial weights; torch's generator state is restored."""
    state = torch.get_rng_state()
    try:
        seed_everything(seed)
        other = call.build().state_dict()
    finally:
        torch.set_rng_state(state)
    own = network.state_dict()
    return list(own) == list(other) and all(torch.equal(own[name], other[name]) for name in own)
