"""The title of a sweep: its name or, if nobody has named it, what it varies and where.

It is made when it is shown and never stored, so sweeps of earlier releases have it too.
"""

from lab.architectures.registry import arch_title
from lab.data.registry import dataset_title
from lab.sweeps.records import SweepRecord
from lab.sweeps.spec import UNNAMED, SweepSpec

_NAMED = 3  # settings in a title; from four on, the rest is counted


def sweep_title(sweep: SweepRecord) -> str:
    """Return a sweep's title, "" for an unreadable one, whose name is not known."""
    return default_title(sweep.spec) if sweep.spec is not None and sweep.name == UNNAMED else sweep.name


def default_title(spec: SweepSpec) -> str:
    """Return the title of an unnamed sweep, such as "Learning rate and optimizer of LeNet-5 on MNIST"."""
    varied = [parameter.spec.label for parameter in spec.space]
    first, *others = varied if len(varied) <= _NAMED else [*varied[: _NAMED - 1], f"{len(varied) - _NAMED + 1} more"]
    names = [first, *(label.lower() for label in others)]
    words = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    network = "" if "arch" in spec.space else f" of {arch_title(spec.base.arch)}"
    return f"{words}{network} on {dataset_title(spec.base.dataset)}"
