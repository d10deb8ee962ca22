"""Writes docs/reference.md and the networks' outlines from the registries: `python -m tests.reference_docs`.

A test compares both files with the registries.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.architectures import outline
from lab.architectures.layer_list import LAYER_WORDS
from lab.architectures.registry import list_architectures
from lab.config import FIELDS, FieldSpec
from lab.data.registry import list_datasets
from lab.inspection.outline import measure_outline
from lab.metrics import METRICS
from lab.presets import REPORTS, Preset, list_presets
from lab.runs.query import KEYS

_LAYERS = """The option `layers` of `custom` lists them from the image to the classes, separated by commas or line breaks:
`--arch custom --arch-option "layers=conv 16 5, relu, maxpool 2, linear 64, relu"`. Values in capitals have to be given; the others have
the defaults shown, and are given by name (kernel, window and rate also without it). Maps are flattened before the first linear layer, and
a last linear layer with a unit per class is added. The names of PyTorch's classes, such as `Conv2d`, mean the same layers."""
PATH = Path(__file__).resolve().parent.parent / "docs" / "reference.md"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in lines)


def _range(spec: FieldSpec) -> str:
    if spec.choices:
        return ", ".join(spec.choices)
    return spec.range_words() if spec.kind in (int, float) else ""


def _reported(preset: Preset) -> str:
    accuracy = preset.reported.test_accuracy
    return "" if accuracy is None else f"{100 * accuracy:.2f} %"


def render() -> str:
    """Return the whole page."""
    networks = _table(
        ("id", "what it is", "input", "options", "source"),
        [
            (
                f"`{a.id}`",
                a.description,
                a.default_input_size,
                " ".join(f"`{o.name}={o.default}`" for o in a.options),
                a.source,
            )
            for a in list_architectures()
        ],
    )
    words = _table(("layer", "what it is"), [(f"`{word.usage}`", word.help) for word in LAYER_WORDS])
    datasets = _table(
        ("id", "what it is", "classes"), [(f"`{d.id}`", d.description, len(d.classes)) for d in list_datasets()]
    )
    presets = "\n\n".join(
        f"### {title}\n\n"
        + _table(
            ("preset", "what it is", "reported", "left open by the report"),
            [(f"`{p.id}`", p.title, _reported(p), p.ours) for p in list_presets(report)],
        )
        for report, title in REPORTS.items()
    )
    settings = _table(
        ("flag", "default", "values", "what it is"),
        [(f"`{s.flag}`", s.default if s.default != {} else "", _range(s), s.help) for s in FIELDS.values()],
    )
    metrics = _table(
        ("series", "what it is", "recorded", "unit", "better", "measured as"),
        [
            (f"`{m.id}`", m.title, m.cadence.value, m.quantity.unit.value, m.quantity.better.value, m.help)
            for m in METRICS.values()
        ],
    )
    keys = _table(("key", "what it compares"), [(f"`{name}`", key.help) for name, key in KEYS.items()])
    return (
        "# Reference\n\nWritten from the registries by `python -m tests.reference_docs`; a test compares.\n\n"
        f"## Networks\n\n{networks}\n\n### Layers of a custom network\n\n{_LAYERS}\n\n{words}\n\n## Data sets\n\n{datasets}\n\n## Presets\n\n{presets}\n\n"
        f"## Settings\n\n{settings}\n\n## Metrics\n\n{metrics}\n\n"
        f"## Keys of the search for runs\n\nBesides the settings, without `--` and with `_` for `-`.\n\n{keys}\n"
    )


def render_outlines() -> str:
    """Return the file from which lists of networks draw their outlines, one network per line."""
    lines = [f"{json.dumps(a.id)}: {json.dumps(measure_outline(a.id).as_dict())}" for a in list_architectures()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    outline.PATH.write_text(render_outlines(), encoding="utf-8")
    PATH.write_text(render(), encoding="utf-8")
