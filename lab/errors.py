"""Every deliberate error of the lab.

One root, so that a page or the CLI can show `LabError` and let anything else keep its traceback. A message is one
sentence with the value, the rule and the way out, at most 300 characters whatever the value is. The exit code is the
CLI's: 2 for a usage error, 1 for a failure.
"""

import difflib
from collections.abc import Iterable

from lab.text import one_sentence, shortened

_LISTED = 160  # characters of the names that a message lists


class LabError(Exception):
    """Something the user or the machine did that the lab answers in one sentence."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(one_sentence(message))


class ConfigError(LabError):
    """A setting has a value that cannot be used; `field` names it so that a form can mark it."""

    exit_code = 2

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class UnknownNameError(ConfigError):
    """A name is not in its registry."""


class ShapeError(ConfigError):
    """A network cannot take images of this size."""


class DataError(LabError):
    """A data set is absent, damaged or could not be fetched."""


class DamagedDataError(DataError):
    """A file of a data set is cut or changed: fetching it again helps."""


class WrongDataError(DataError):
    """A file of a data set is whole, but not what belongs there."""


class DeviceError(ConfigError):
    """The asked-for device is not on this machine."""


class TrainingError(LabError):
    """Training ended before its last step, for a reason the user can act on."""


class StoreError(LabError):
    """The run store refused or could not do something."""


class StoreBusyError(StoreError):
    """Another process holds the store's write lock for too long."""


class StoreUnreachableError(StoreBusyError):
    """The database server does not answer for now; what waits for a busy store waits for this one too."""


class StoreVersionError(StoreError):
    """The store was written by a newer release."""


class ReadOnlyError(StoreError):
    """The lab was started with `LAB_READ_ONLY`."""


class TextError(StoreError):
    """A name, note, tag, owner or priority cannot be stored as it is."""

    exit_code = 2


class LeaseLostError(StoreError):
    """This process no longer owns the run it writes to."""


class RunNotFoundError(StoreError):
    """No run has this id."""

    exit_code = 2


class SweepNotFoundError(StoreError):
    """No sweep has this id or name."""

    exit_code = 2


class SweepStateError(StoreError):
    """The sweep's state does not allow the request, or it cannot be read."""


class StaleSweepError(StoreError):
    """Another process has changed the sweep since it was read, so nothing was written."""


class UnreadableRunError(StoreError):
    """A run's stored values are damaged, or this release cannot read them, so none of them is shown."""


class JoinRefusedError(StoreError):
    """This machine may not train for the lab: another release, another place, or a name that is taken."""


class HostStateError(StoreError):
    """The host's state does not allow the request."""


class RunStateError(StoreError):
    """The run's state does not allow the request."""


class ArtifactError(LabError):
    """A saved file is absent, damaged or not what its record says."""


class ArtifactsUnreachableError(ArtifactError):
    """The place of the saved files does not answer for now; a training waits for it as for a store that is away."""


class InputError(LabError):
    """An image, layer, epoch or file given by the user cannot be used."""

    exit_code = 2


def close_match(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Return the known name that is closest to a wrong one, "" where none is close (`difflib`'s ratio, 0 to 1)."""
    return next(iter(difflib.get_close_matches(name, sorted(map(str, known)), n=1, cutoff=cutoff)), "")


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return the sentence that leads from a wrong name to a right one: the closest name, else as many as fit."""
    names = sorted(map(str, known))  # members of an enum show as their value
    close = close_match(name[:100], names)
    if close:
        return f"Did you mean {shortened(close, _LISTED)!r}?"
    listed = [shortened(name, _LISTED // 2) for name in names]
    while len(", ".join(listed)) > _LISTED:
        listed.pop()
    left = len(names) - len(listed)
    return f"Choose one of: {', '.join(listed)}{f' and {left} more' if left else ''}."
