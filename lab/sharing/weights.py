"""A run's weights for other programs: safetensors, PyTorch's state_dict, and a model card that explains their use.

The state_dict is written for use elsewhere; the lab itself reads only safetensors and never unpickles.
"""

import io
import json
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from lab.architectures.registry import get_architecture, resolve_input_size
from lab.data.registry import get_dataset_spec
from lab.loaded_network import LoadedNetwork
from lab.runs.headline import HeadlineResult
from lab.runs.records import RunRecord
from lab.sharing.tables import markdown_text, shown
from lab.strict_json import with_names


def portable_state(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights on the CPU in contiguous memory format, in the order of the network's layers."""
    plain = torch.contiguous_format
    return {name: t.detach().to("cpu").contiguous(memory_format=plain) for name, t in network.state_dict().items()}


def facts(loaded: LoadedNetwork) -> dict[str, Any]:
    """Return the facts needed to use the weights, JSON-safe; accuracies are those of exactly these weights."""
    run, result = loaded.run, loaded.result or HeadlineResult()
    return {
        "run": run.id,
        "name": run.name,
        "architecture": run.config.arch,
        "options": run.config.arch_options,
        "input_size": run.config.input_size,
        "image_size": loaded.image_size,
        "dataset": run.config.dataset,
        "classes": list(loaded.class_names),
        "mean": loaded.mean,
        "std": loaded.std,
        "epoch": loaded.epoch,
        "step": loaded.step,
        "epochs": run.config.epochs,
        "which_epoch": result.which,
        "test_accuracy": result.test_accuracy,
        "val_accuracy": result.val_accuracy,
        "test_accuracy_of_the_run": run.headline.test_accuracy,
        "input": f"float32 (B, {loaded.channels}, H, W): (pixel / 255 - mean) / std, {_kind(loaded)}",
        "output": "logits float32 (B, classes)",
    }


def _kind(loaded: LoadedNetwork) -> str:
    return "light ink on black" if loaded.channels == 1 else "channels as in the data set"


def safetensors_bytes(loaded: LoadedNetwork) -> bytes:
    """Return the weights as one safetensors file, with the facts under "convlab" in its header."""
    header = {"convlab": json.dumps(with_names(facts(loaded)), sort_keys=True, allow_nan=False), "format": "pt"}
    return safetensors.torch.save(portable_state(loaded.network), metadata=header)


def state_dict_bytes(loaded: LoadedNetwork) -> bytes:
    """Return the state dict as written by `torch.save`; `torch.load(path, weights_only=True)` reads it."""
    target = io.BytesIO()
    torch.save(portable_state(loaded.network), target)
    return target.getvalue()


def model_card(loaded: LoadedNetwork) -> str:
    """Return the model card as Markdown: data, normalisation, classes, results, and how to use the file."""
    run, spec = loaded.run, get_dataset_spec(loaded.run.config.dataset)
    arch = get_architecture(run.config.arch)
    parameters = sum(p.numel() for p in loaded.network.parameters())
    options = ", ".join(f"{name} = {value}" for name, value in run.config.arch_options.items()) or "defaults"
    lines = [
        f"# {markdown_text(run.name or run.id)}",
        "",
        f"{arch.title}, {parameters:,} parameters, trained with ConvLab (run {run.id}).",
        "",
        "## Network",
        f"- {markdown_text(arch.description)}",
        f"- Source: {markdown_text(arch.source)}",
        f"- Options: {markdown_text(options)}; {_resizing(loaded)}.",
        "",
        "## Data",
        f"- {markdown_text(spec.title)}: {markdown_text(spec.source)}",
        f"- Classes in the order of the outputs: {markdown_text(', '.join(loaded.class_names))}",
        "",
        "## Use",
        f"- Input: float32 (B, {loaded.channels}, {loaded.image_size}, {loaded.image_size}), {_kind(loaded)}: "
        f"`(pixel / 255 - {loaded.mean!r}) / {loaded.std!r}`.",
        f"- Output: logits (B, {len(loaded.class_names)}); softmax gives probabilities.",
        "- Batch norm and dropout must be in evaluation mode.",
        "",
        "## Results",
        *_results(loaded),
        *_findings(run),
        "",
        "## Settings that differ from ConvLab's defaults",
        *[f"- {markdown_text(name)}: {markdown_text(str(value))}" for name, value in run.config.changed().items()],
        "",
        "## Trained on",
        *[f"- {markdown_text(name)}: {markdown_text(str(value))}" for name, value in run.environment.as_dict().items()],
    ]
    return "\n".join(lines) + "\n"


def _resizing(loaded: LoadedNetwork) -> str:
    config, side = loaded.run.config, loaded.image_size
    inside = resolve_input_size(get_architecture(config.arch), config.input_size, image_size=side)
    return "images keep their size" if inside == side else f"the network resizes images to {inside}×{inside}"


def _findings(run: RunRecord) -> list[str]:
    return ["", "## Findings", *[f"- {markdown_text(f.message)}" for f in run.findings]] if run.findings else []


def _results(loaded: LoadedNetwork) -> list[str]:
    """Return what was measured on exactly these weights, and how the run ended."""
    run, result = loaded.run, loaded.result or HeadlineResult(step=loaded.step, epoch=loaded.epoch)
    words = (("val_accuracy", "validation accuracy"), ("test_accuracy", "test accuracy"), ("test_loss", "test loss"))
    known = [(title, getattr(result, key)) for key, title in words]
    lines = [f"- {title}: {shown(value, column=title)}" for title, value in known if value is not None]
    epoch = result.epoch_text(run.config.epochs)
    lines.append(f"- Weights and results are those of epoch {epoch}, step {loaded.step}.")
    lines += [f"- The run {run.end_text}."] if run.end_text else []
    return [*lines, f"- The run {run.early_text}."] if run.early_text else lines
