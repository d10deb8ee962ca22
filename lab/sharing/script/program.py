"""Writes `train.py`: the run's settings go into a template, the rest is the lab's own source, copied.

What decides the bits is the same code on both sides; only the loop is written for readers. `tests/sharing/test_script.py`
runs the result in a process of its own and compares weights and metrics with the run's, bit for bit.
"""

import ast
import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import torch
from torch import nn

from lab.architectures.registry import complete_options, get_architecture, resolve_input_size
from lab.config import RunConfig
from lab.data.registry import get_dataset_spec, is_own
from lab.errors import ArtifactError, InputError
from lab.runs.records import RunRecord, RunState
from lab.sharing.script.inline import Import, Inliner, import_lines, used_names
from lab.sharing.script.layers import describe, same_weights, used_types
from lab.sharing.source import Source
from lab.training.augment import RECIPES, AugmentRecipe
from lab.training.checkpoint import weights_digest
from lab.training.evaluation import resolve_chunk
from lab.training.layout import build_view
from lab.training.schedules import is_constant
from lab.training.session import _INITIAL_IMAGES

# Short for a reader, and equal in what matters: only the shape of the result is used.
_OUTPUT_SHAPE = '''def output_shape(module: nn.Module, *, input_shape: tuple[int, ...], prefix: str = "") -> tuple[int, ...]:
    """Return the shape a module gives for an input of (B, C, H, W)."""
    with torch.no_grad():
        return tuple(copy.deepcopy(module).eval()(torch.zeros(input_shape)).shape)
'''
_REPLACED = {"lab.architectures.shapes:output_shape": _OUTPUT_SHAPE}
_TORCHVISION = {
    "mnist": ("MNIST", "train=True", "train=False"),
    "fashion-mnist": ("FashionMNIST", "train=True", "train=False"),
    "kmnist": ("KMNIST", "train=True", "train=False"),
    "qmnist": ("QMNIST", 'what="train"', 'what="test"'),
    "emnist-letters": ("EMNIST", 'split="letters", train=True', 'split="letters", train=False'),
    "emnist-balanced": ("EMNIST", 'split="balanced", train=True', 'split="balanced", train=False'),
}
_BASE: tuple[Import, ...] = (
    ("argparse", "", "argparse"),
    ("copy", "", "copy"),
    ("hashlib", "", "hashlib"),
    ("json", "", "json"),
    ("math", "", "math"),
    ("collections", "OrderedDict", "OrderedDict"),
    ("collections.abc", "Mapping", "Mapping"),
    ("pathlib", "Path", "Path"),
    ("numpy", "", "np"),
    ("safetensors.torch", "", "safetensors"),
    ("torch", "", "torch"),
    ("torch", "Tensor", "Tensor"),
    ("torch", "nn", "nn"),
    ("torch.nn.functional", "", "F"),
    ("torchvision", "", "torchvision"),
)


class _Parts:
    """The copied sections of a script: each name once, under the first heading that needs it."""

    def __init__(self) -> None:
        self.inliner = Inliner(replaced=_REPLACED)
        self._taken = 0

    def take(self, *names: tuple[str, str]) -> str:
        """Copy definitions and return the source that is new."""
        for module, name in names:
            self.inliner.add(module, name)
        fresh = self.inliner.texts[self._taken :]
        self._taken = len(self.inliner.texts)
        return _joined(fresh)


def write_script(source: Source, run: RunRecord) -> str:
    """Return the source of a `train.py` that repeats the run."""
    config = run.config
    parts = _Parts()
    values = _settings(source, run)
    values |= {
        "seeding": parts.take(("lab.seeding", "build_generator")),
        "data_helpers": parts.take(*_data_names(config.dataset)),
        "batch_helpers": parts.take(*_batch_names(config)),
        **_network(source, config, parts),
        "optimizer_helpers": parts.take(*_optimizer_names(config)),
        "digest_source": parts.take(("lab.training.checkpoint", "weights_digest")),
    }
    body = _template().render(values, imports="")
    imports = parts.inliner.imports | set(_BASE)
    used = used_names(ast.parse(body))
    lines = import_lines({found for found in imports if found[2] in used})
    values["uses_torchvision"] = "torchvision" in used
    return _spaced(_template().render(values, imports="\n".join(_grouped(lines))))


@cache
def _template() -> jinja2.Template:
    text = (resources.files("lab.sharing.script") / "train.py.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  this writes Python, not HTML, and no text of the user's goes in
        keep_trailing_newline=True,
    )
    return environment.from_string(text)


def _settings(source: Source, run: RunRecord) -> dict[str, Any]:
    config, arch, spec = run.config, get_architecture(run.config.arch), get_dataset_spec(run.config.dataset)
    mean, std = source.normalization(run)
    device = torch.device(str(run.device or "cpu"))
    recipe = RECIPES[config.augment]
    name, train, test = _TORCHVISION.get(config.dataset, ("", "", ""))
    reader = "torchvision.datasets.{}(root, {}, download=True)"
    return {
        "c": config,
        "dataset": config.dataset,
        "mean": repr(mean),
        "std": repr(std),
        "classes": len(spec.classes),
        "title": f"{arch.title} on {spec.title}, run {run.id}",
        "arch_title": arch.title,
        "torch_version": str(run.environment.get("torch", torch.__version__)).split()[0],
        "threads": _threads(run.environment),
        "device": device.type,
        "init_from": config.init_from,
        "own": is_own(config.dataset),
        "uses_torchvision": True,
        "train_set": reader.format(name, train),
        "test_set": reader.format(name, test),
        "eval_chunk": resolve_chunk(config.eval_batch_size, device),
        "constant": is_constant(config),
        "augment": recipe is not None,
        "recipe": _recipe_source(recipe),
        "expected": _expected(source, run),
        "remarks": _remarks(run),
        **_precision(config),
    }


def _recipe_source(recipe: AugmentRecipe | None) -> str:
    if recipe is None:
        return ""
    plain = AugmentRecipe()
    values = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    lines = [f"    {name}={value!r},\n" for name, value in values.items() if value != getattr(plain, name)]
    return "AugmentRecipe(\n" + "".join(lines) + ")"


def _threads(environment: Mapping[str, Any]) -> int:
    found = environment.get("threads")
    return found if isinstance(found, int) and found > 0 else torch.get_num_threads()


def _precision(config: RunConfig) -> dict[str, Any]:
    if config.precision == "float32":
        return {"autocast": "", "autocast_also": "", "scaler": False}
    context = f"torch.autocast(x_u8.device.type, torch.{config.precision})"
    return {"autocast": context, "autocast_also": f", {context}", "scaler": config.precision == "float16"}


def _remarks(run: RunRecord) -> list[str]:
    found = []
    if run.config.eval_every:
        found.append("The validations inside the epochs are left out: they change nothing.")
    if run.config.compile:
        found.append("The run used torch.compile; this script does not, so last digits may differ.")
    if run.state is not RunState.FINISHED:
        found.append(f"The run is {run.state.value}; this script trains its configuration to the end.")
    if run.device and not run.device.startswith("cpu"):
        found.append(f"The run was trained on {run.device}, where equal bits are not promised.")
    return found


def _expected(source: Source, run: RunRecord) -> str:
    """Return the digest of the weights that a finished run ended with, "" where they are not kept."""
    final = run.summary.get("final_epoch")
    if run.state is not RunState.FINISHED or not isinstance(final, int) or not source.kept_epochs(run.id):
        return ""
    try:
        loaded = source.load_run_network(run.id, epoch=final)
    except (InputError, ArtifactError):  # dropped to stay within the disk budget, or damaged: the code needs no weights
        return ""
    return weights_digest(loaded.network.state_dict())


def _data_names(dataset: str) -> list[tuple[str, str]]:
    split = ("lab.training.split", "stratified_split")
    if dataset == "digits":
        return [split, ("lab.data.digits", "read_digits")]
    if dataset == "usps":
        return [split, ("lab.data.libsvm", "read_usps"), ("lab.data.resize", "resize_images")]
    return [split]


def _batch_names(config: RunConfig) -> list[tuple[str, str]]:
    names = [("lab.training.batches", "normalise")]
    if config.channels_last:
        names.append(("lab.training.batches", "to_channels_last"))
    if RECIPES[config.augment] is not None:
        names.append(("lab.training.augment", "augment_batch"))
    return names


def _optimizer_names(config: RunConfig) -> list[tuple[str, str]]:
    muon = [("lab.training.muon", name) for name in ("hidden_weights", "Muon")] if config.optimizer == "muon" else []
    cycle = [("lab.training.schedules", "_one_cycle")] if config.schedule == "one-cycle" else []
    return muon + cycle


def _network(source: Source, config: RunConfig, parts: _Parts) -> dict[str, Any]:
    """Return the network's source: its layers one by one where that gives the same initial weights, else its builder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = source.build_network(config)
    view = build_view(network)
    call = describe(view)
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    found: dict[str, Any] = {
        "frozen": frozen,
        "forward": _forward(network),
        "pooled_first": False,
        "data_init": _INITIAL_IMAGES if hasattr(network, "initialise_from_data") else 0,
    }
    if call is not None and same_weights(call, network, seed=config.seed):
        helpers = parts.take(*((type_.__module__, type_.__name__) for type_ in used_types(call)))
        return found | {
            "network_helpers": helpers,
            "network": call.source(1),
            "pooled_first": _layer_order(view) != _layer_order(network),
        }
    return found | _copied_builder(config, parts) | {"frozen": []}


def _copied_builder(config: RunConfig, parts: _Parts) -> dict[str, Any]:
    arch, spec = get_architecture(config.arch), get_dataset_spec(config.dataset)
    module, name = arch.builder.split(":")
    size = resolve_input_size(arch, config.input_size, image_size=spec.image_size)
    options = complete_options(arch, config.arch_options)
    given = "".join(f", {key}={value!r}" for key, value in options.items())
    helpers = parts.take((module, name), ("lab.architectures.blocks", "Build"), ("lab.training.layout", "build_view"))
    built = f"{name}(Build(classes={len(spec.classes)}, size={size}, channels=1){given})"
    return {"network_helpers": helpers, "network": f"build_view(\n        {built}\n    )"}


def _layer_order(network: nn.Module) -> list[str]:
    return [name for name, _ in network.named_modules()]


def _forward(network: nn.Module) -> str:
    if not getattr(network, "auxiliary", None):
        return "logits_BK = network(x_BCHW)\nloss = criterion(logits_BK, y_B)"
    return (
        "logits_BK, auxiliary = network(x_BCHW)\nloss = criterion(logits_BK, y_B)\n"
        "for extra in auxiliary:  # Szegedy et al. 2014, section 5\n    loss = loss + 0.3 * criterion(extra, y_B)"
    )


def _joined(texts: list[str]) -> str:
    """Put definitions under each other: two lines between functions and classes, none between constants."""
    blocks: list[str] = []
    for text in texts:
        constant = not text.lstrip("#").startswith(("def ", "class ", "@")) and "\n" not in text
        if blocks and constant and _is_constant_line(blocks[-1]):
            blocks[-1] += f"\n{text}"
        else:
            blocks.append(text)
    return "\n\n\n".join(block.rstrip() for block in blocks)


def _spaced(source: str) -> str:
    """Put two empty lines before every definition and every heading."""
    spaced = re.sub(r"\n\n+(?=@|def |class |# ---)", "\n\n\n", source)
    return spaced.replace("\n\n\n# --- Settings", "\n\n# --- Settings")  # which follows the imports


def _is_constant_line(block: str) -> bool:
    return not block.lstrip("#").startswith(("def ", "class ", "@"))


def _grouped(lines: list[str]) -> list[str]:
    """Put an empty line between Python's own modules and the others."""
    third = ("numpy", "safetensors", "sklearn", "torch", "torchvision")
    own = [line for line in lines if line.split()[1].split(".")[0] not in third]
    return [*own, "", *(line for line in lines if line not in own)]
