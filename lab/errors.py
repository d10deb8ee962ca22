"""The exceptions that the lab raises deliberately.

They share one base class, so that a page or the CLI can show a `LabError` and let anything else keep its traceback. A
message is one sentence with the value, the rule and the remedy, at most 300 characters whatever the value is. The exit
code is the CLI's: 2 for a usage error, 1 for a failure.
"""

import difflib
from collections.abc import Iterable

from lab.text import one_sentence, shortened

_LISTED = 160  # characters of the names that a message lists


class LabError(Exception):
    """Base class of errors that are shown to the user as one sentence, without a traceback."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(one_sentence(message))


class ConfigError(LabError):
    """A setting has an invalid value; `field` names the setting so that a form can mark it."""

    exit_code = 2

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class UnknownNameError(ConfigError):
    """A name is not registered."""


class ShapeError(ConfigError):
    """A network does not accept images of this size."""


class DataError(LabError):
    """A data set is missing, damaged or could not be fetched."""


class DamagedDataError(DataError):
    """A file of a data set is truncated or altered; fetching it again repairs it."""


class WrongDataError(DataError):
    """A file of a data set is intact but has the wrong contents."""


class DeviceError(ConfigError):
    """The requested device is not available on this machine."""


class WorkerStartError(LabError):
    """No worker process can start on this machine."""


class ThreadStartError(LabError):
    """The system refuses to start another thread."""


class TrainingError(LabError):
    """Training ended before its last step for a reason that the user can act on."""


class StoreError(LabError):
    """The run store refused a request or could not complete it."""


class StoreBusyError(StoreError):
    """Another process held the store's write lock for too long."""


class StoreUnreachableError(StoreBusyError):
    """The database server does not respond at the moment; callers that wait for a busy store wait for this too."""


class StoreVersionError(StoreError):
    """The store was written by a newer release."""


class ReadOnlyError(StoreError):
    """The lab was started with `LAB_READ_ONLY`."""


class TextError(StoreError):
    """A name, note, tag, owner or priority is not valid for storage."""

    exit_code = 2


class LeaseLostError(StoreError):
    """This process no longer holds the lease of the run that it writes to."""


class RunNotFoundError(StoreError):
    """No run has this id."""

    exit_code = 2


class SweepNotFoundError(StoreError):
    """No sweep has this id or name."""

    exit_code = 2


class SweepStateError(StoreError):
    """The sweep's state does not allow the request, or the state cannot be read."""


class StaleSweepError(StoreError):
    """Another process changed the sweep after it was read, so nothing was written."""


class UnreadableRunError(StoreError):
    """A run's stored values are damaged or not readable by this release, so none of them is shown."""


class JoinRefusedError(StoreError):
    """This machine cannot join the lab: different release, different storage, or a host name already in use."""


class HostStateError(StoreError):
    """The host's state does not allow the request."""


class RunStateError(StoreError):
    """The run's state does not allow the request."""


class ArtifactError(LabError):
    """A saved file is missing, damaged or does not match its record."""


class ArtifactsUnreachableError(ArtifactError):
    """The artifact storage does not respond at the moment; training waits for it as for an unreachable store."""


class InputError(LabError):
    """An image, layer, epoch or file from the user cannot be used."""

    exit_code = 2


class NotFiniteError(InputError):
    """A network's outputs are not finite because its training diverged."""


def close_match(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Return the known name closest to `name`, or "" if none is close. cutoff: smallest ratio of `difflib`, 0 to 1."""
    return next(iter(difflib.get_close_matches(name, sorted(map(str, known)), n=1, cutoff=cutoff)), "")


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the closest known name, or else lists as many names as fit."""
    names = sorted(map(str, known))  # `str` writes enum members as their values
    close = close_match(name[:100], names)
    if close:
        return f"Did you mean {shortened(close, _LISTED)!r}?"
    listed = [shortened(name, _LISTED // 2) for name in names]
    while len(", ".join(listed)) > _LISTED:
        listed.pop()
    left = len(names) - len(listed)
    return f"Choose one of: {', '.join(listed)}{f' and {left} more' if left else ''}."
