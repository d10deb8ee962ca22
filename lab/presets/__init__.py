"""Presets: named changes to the default `RunConfig`, one for every experiment of the reports (`experiments.py`)."""

from lab.errors import UnknownNameError, near_miss
from lab.presets.experiments import EXPERIMENTS
from lab.presets.preset import OWN, Preset, Reported

__all__ = ["OWN", "PRESETS", "REPORTS", "Preset", "Reported", "get_preset", "list_presets"]

REPORTS = {
    "A": "A first network, and the road to batch normalisation",
    "B": "A wide network, every epoch tested",
    "C": "Batch size, epochs and learning rate of a basic network",
    "D": "Seven networks from LeNet to GoogLeNet",
    "E": "TensorBoard runs, four losses and some honest mistakes",
    OWN: "The lab's own",
}
PRESETS: dict[str, Preset] = {preset.id: preset for preset in EXPERIMENTS}
if len(PRESETS) != len(EXPERIMENTS):
    raise ValueError("two presets share an id")


def list_presets(report: str | None = None) -> tuple[Preset, ...]:
    """Return all presets, or those of one report, in the order of the reports."""
    return tuple(p for p in PRESETS.values() if report is None or p.report == report)


def get_preset(preset_id: str) -> Preset:
    """Return the preset with this id. Raises `UnknownNameError`, which suggests the closest id."""
    if preset_id not in PRESETS:
        raise UnknownNameError(f"There is no preset {preset_id!r}. {near_miss(preset_id, PRESETS)}", field="preset")
    return PRESETS[preset_id]
