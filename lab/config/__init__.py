"""The configuration of a run: its settings, their checks, their upgrades and its fingerprint."""

from lab.config.fields import FieldSpec, Option
from lab.config.identity import ENGINE
from lab.config.run_config import (
    AUGMENTS,
    FIELDS,
    GROUPS,
    INPUT_SIZES,
    LOSSES,
    NORMALIZATIONS,
    OBJECTIVE,
    OPTIMIZERS,
    OUTPUTS,
    PRECISIONS,
    SCHEDULES,
    RunConfig,
)

__all__ = [
    "AUGMENTS",
    "ENGINE",
    "FIELDS",
    "GROUPS",
    "INPUT_SIZES",
    "LOSSES",
    "NORMALIZATIONS",
    "OBJECTIVE",
    "OPTIMIZERS",
    "OUTPUTS",
    "PRECISIONS",
    "SCHEDULES",
    "FieldSpec",
    "Option",
    "RunConfig",
]
