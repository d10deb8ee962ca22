"""The studies of the reports as sweeps: each is a SPEC based on the preset of the run that it varies.

The reports compared on the test set. A sweep compares on the validation set, so a tenth of the training images is held
out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.errors import UnknownNameError, near_miss
from lab.presets import REPORTS, get_preset

_HELD_OUT = 0.1


@dataclass(frozen=True, slots=True)
class SweepPreset:
    """One study: `space` over the settings of a preset run."""

    id: str
    report: str
    title: str
    run_preset: str
    space: Mapping[str, Any]

    def spec(self, **changes: Any) -> dict[str, Any]:
        """Return its SPEC for `lab.sweeps.spec.read_spec`, with optional changes of its keys."""
        base = {**get_preset(self.run_preset).changes, "val_fraction": _HELD_OUT}
        whole = {"name": self.title, "base": base, "space": dict(self.space), "method": "grid"}
        return {**whole, **changes}


_ALL = (
    SweepPreset("c-batch", "C", "Batch size", "c-basic-cnn", {"batch_size": {"values": [50, 100, 200]}}),
    SweepPreset("c-epochs", "C", "Epochs", "c-basic-cnn", {"epochs": {"values": [10, 20, 100]}}),
    SweepPreset("c-lr", "C", "Learning rate", "c-basic-cnn", {"lr": {"values": [0.001, 0.01, 0.05]}}),
    SweepPreset(
        "b-lr",
        "B",
        "Learning rate of the wide network",
        "b-wide-cnn",
        {"lr": {"values": [0.0001, 0.0005, 0.001, 0.01]}},
    ),
)
SWEEP_PRESETS: dict[str, SweepPreset] = {preset.id: preset for preset in _ALL}
if len(SWEEP_PRESETS) != len(_ALL) or any(preset.report not in REPORTS for preset in _ALL):
    raise ValueError("two sweep presets share an id, or one names an unknown report")


def get_sweep_preset(preset: str) -> SweepPreset:
    """Return one preset, or raise `UnknownNameError` with the near miss."""
    if preset not in SWEEP_PRESETS:
        raise UnknownNameError(
            f"There is no sweep preset {preset[:60]!r}. {near_miss(preset, SWEEP_PRESETS)}", field="preset"
        )
    return SWEEP_PRESETS[preset]
