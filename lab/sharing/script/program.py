"""Writes `train.py`: a template filled with the run's settings, data and network, and the modules that it imports.

Everything that affects the result, including the training loop, is the lab's own code. `tests/sharing/test_script.py`
runs the script in a separate process and compares weights and metrics with the run's, bit for bit.
"""

import json
import re
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import torch

from lab.architectures.registry import complete_options, get_architecture, resolve_input_size
from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.data.spec import DatasetSpec, ExportedReader
from lab.errors import ArtifactError, InputError
from lab.networks import build_from_config
from lab.runs.records import RunRecord, RunState
from lab.seeding import seed_everything
from lab.sharing.script.layers import describe, same_weights, used_types
from lab.sharing.script.package import collect_modules, package_files, rename, required_distributions
from lab.sharing.source import Source
from lab.training.checkpoint import weights_digest

_HIDDEN = ("device", "devices", "keep_mb")  # settings of the lab that do not apply to a script
_OWN_IMPORTS = (
    "from lab.config import RunConfig",
    "from lab.seeding import seed_everything",
    "from lab.training.checkpoint import weights_digest",
    "from lab.training.data import build_resident",
    "from lab.training.engine import train",
    "from lab.training.events import Evaluated, Notice",
)
_IMPORTS = (
    "import argparse",
    "import json",
    "from collections import OrderedDict",
    "from pathlib import Path",
    "import numpy as np",
    "import safetensors.torch",
    "import torch",
    "import torchvision",
    "from torch import nn",
)
_STANDARD = ("argparse", "json", "collections", "pathlib")


def write_script(source: Source, run: RunRecord) -> dict[str, bytes]:
    """Return a `train.py` that reproduces the run, under "", and the modules it imports, by their relative paths.

    Raises `InputError` for a fork, whose initial state is not determined by its settings.
    """
    if run.config.fork_of:
        raise InputError(
            f"Run {run.name or run.id} is a fork: it continues from epoch {run.config.fork_epoch} of run "
            f"{run.config.fork_of}, which exported code cannot reproduce. Export its weights, or the code of that run."
        )
    values = _values(source, run)
    body = _template().render(values, imports="", requirements="")
    lines = [line for line in {*_IMPORTS, *_OWN_IMPORTS, *values["more_imports"]} if _is_used(line, body)]
    imports = _sorted_imports(lines)
    modules = collect_modules(imports)
    needed = required_distributions(imports, body, *modules.values())
    script = _template().render(values, imports=imports, requirements=_listed(needed))
    return {"": rename(script).encode(), **package_files(modules)}


@cache
def _template() -> jinja2.Template:
    text = (resources.files("lab.sharing.script") / "train.py.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  the output is Python, not HTML, and contains no user input
        keep_trailing_newline=True,
    )
    return environment.from_string(text)


def _values(source: Source, run: RunRecord) -> dict[str, Any]:
    """Return the variables of the template."""
    config, arch, spec = run.config, get_architecture(run.config.arch), get_dataset_spec(run.config.dataset)
    mean, std = source.weights.normalization(run)
    reader = _reader(spec)
    network, network_imports, frozen = _network(config)
    return {
        "settings": _settings(config),
        "mean": repr(mean),
        "std": repr(std),
        "classes": len(spec.classes),
        "title": f"{arch.title} on {spec.title}, run {run.id}",
        "arch_title": arch.title,
        "torch_version": (run.environment.torch or str(torch.__version__)).split()[0],
        "threads": run.environment.threads or torch.get_num_threads(),
        "processor": repr(run.environment.name or "an unknown processor"),  # may come from a bundle: quote it
        "device": torch.device(str(run.device or "cpu")).type,
        "init_from": config.init_from,
        "note": reader.note,
        "image_shape": spec.image_shape,
        "stack": "(N, H, W)" if spec.channels == 1 else "(N, C, H, W)",
        "load_images": reader.body,
        "network": network,
        "frozen": frozen,
        "expected": _expected(source, run),
        "remarks": _remarks(run),
        "more_imports": (*reader.imports, *network_imports),
    }


def _reader(spec: DatasetSpec) -> ExportedReader:
    if spec.exported is None:
        raise InputError(f"{spec.title} has no reader for exported code: export another format.")
    return spec.exported


def _settings(config: RunConfig) -> list[tuple[str, str]]:
    """Return (name, source of the value) of every setting that affects the result, and of others that were changed."""
    shown = []
    for spec in config.specs().values():
        value = getattr(config, spec.name)
        decides = spec.result and spec.relevant(config) and value not in ("", {})
        if spec.name not in _HIDDEN and (decides or value != spec.default):
            shown.append((spec.name, json.dumps(value) if isinstance(value, str) else repr(value)))
    return shown


def _remarks(run: RunRecord) -> list[str]:
    found = []
    if run.state is not RunState.FINISHED:
        found.append(f"The run is {run.state.value}; this script trains its configuration to the end.")
    if run.device and not run.device.startswith("cpu"):
        found.append(f"The run was trained on {run.device}, where bitwise equal results are not guaranteed.")
    if run.config.devices > 1:
        found.append(
            f"The run was trained on {run.config.devices} devices; on one, its results differ within rounding."
        )
    return found


def _expected(source: Source, run: RunRecord) -> str:
    """Return the digest of a finished run's final weights, "" if they are not saved."""
    final = run.summary.final_epoch
    if run.state is not RunState.FINISHED or final is None or not source.weights.list(run.id):
        return ""
    try:
        loaded = source.weights.load(run.id, epoch=final)
    except (InputError, ArtifactError):  # deleted to stay within the disk budget, or damaged: code needs no weights
        return ""
    return weights_digest(loaded.network.state_dict())


def _network(config: RunConfig) -> tuple[str, list[str], list[str]]:
    """Return (source, imports, frozen parameters): layer by layer if that gives the same weights, else the builder."""
    with torch.random.fork_rng(devices=[]):
        seed_everything(config.seed)
        network = build_from_config(config)
    call = describe(network)
    if call is None or not same_weights(call, network, seed=config.seed):
        return *_built(config), []
    imports = [f"from {type_.__module__} import {type_.__name__}" for type_ in used_types(call)]
    return call.source(1), imports, [n for n, parameter in network.named_parameters() if not parameter.requires_grad]


def _built(config: RunConfig) -> tuple[str, list[str]]:
    arch, spec = get_architecture(config.arch), get_dataset_spec(config.dataset)
    module, name = arch.builder.split(":")
    size = resolve_input_size(arch, config.input_size, image_size=spec.image_size)
    options = complete_options(arch, config.arch_options)
    given = "".join(f", {key}={value!r}" for key, value in options.items())
    call = f"{name}(Build(classes=CLASSES, size={size}, channels={spec.channels}){given})"
    return call, [f"from {module} import {name}", "from lab.architectures.blocks import Build"]


def _is_used(line: str, body: str) -> bool:
    """Whether `body` uses a name that the import line defines."""
    names = line.split(" as ")[-1].split("import ")[-1].split(", ")
    return any(re.search(rf"\b{re.escape(name)}\b", body) for name in names)


def _sorted_imports(lines: list[str]) -> str:
    """Return imports sorted as by isort: standard library, third party, the shipped package; plain imports first."""
    groups: tuple[list[str], list[str], list[str]] = ([], [], [])
    for line in _joined(lines):
        top = line.split()[1].split(".")[0]
        groups[0 if top in _STANDARD else 2 if top == "lab" else 1].append(line)
    return "\n\n".join("\n".join(group) for group in groups if group)


def _joined(lines: list[str]) -> list[str]:
    """Return sorted import lines, with all names of a module on one line."""
    plain = sorted(line for line in set(lines) if line.startswith("import "))
    names: dict[str, set[str]] = {}
    for line in set(lines).difference(plain):
        module, name = line.removeprefix("from ").split(" import ")
        names.setdefault(module, set()).add(name)
    return [*plain, *(f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names))]


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
