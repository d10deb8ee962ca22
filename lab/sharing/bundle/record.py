"""Reads a bundle's `run.json` into checked values: text is bounded and without control characters, names are known."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from lab.architectures.registry import check_options, get_architecture
from lab.config import RunConfig
from lab.config.upgrades import upgrade
from lab.data.registry import get_dataset_spec
from lab.errors import ConfigError, TextError
from lab.formatting import plural
from lab.runs.edits import NAME_LIMIT, NOTE_LIMIT, TAG_LIMIT, TAGS_LIMIT, checked_tags, checked_text
from lab.runs.facts import DEVICES, Kind, is_device
from lab.runs.imports import PortableRun
from lab.runs.records import ENDS, RunState
from lab.runs.run_facts import RunEnvironment, RunSummary
from lab.sharing.bundle.layout import DIGEST
from lab.sharing.bundle.strict_reading import Fields, items, maybe, moment, read_json, refuse, seconds, whole
from lab.text import escaped

REASON_LIMIT = 2_000
NOTICE_LIMIT = 2_000
MAX_NOTICES = 200
_TEXT_LIMIT = 500  # characters of one fact
_FACTS = 100  # entries of summary and of environment
_MAX_STEPS = 999_999_999
_RUN_ID = re.compile(r"[0-9a-f]{0,32}")
_FACT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """One saved epoch, as listed in the record."""

    step: int
    epoch: int
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(PortableRun):
    """A run's checked facts, with the list of its weights."""

    weights: tuple[WeightsEntry, ...]


def read_record(data: bytes, name: str) -> Record:
    """Return the record. Raises `InputError` for anything unexpected."""
    fields = Fields(read_json(data, name), name)
    record = Record(
        name=fields.take("name", _text(NAME_LIMIT)),
        config=fields.take("config", _config),
        fingerprint=fields.take("fingerprint", _matching(DIGEST)),
        state=fields.take("state", _state),
        reason=fields.take("reason", _text(REASON_LIMIT, lines=True)),
        created_at=fields.take("created_at", moment),
        started_at=fields.take("started_at", maybe(moment)),
        finished_at=fields.take("finished_at", maybe(moment)),
        seconds=fields.take("seconds", seconds),
        device=fields.take("device", _device),
        note=fields.take("note", _text(NOTE_LIMIT, lines=True)),
        tags=fields.take("tags", _tags),
        summary=RunSummary.from_dict(fields.take("summary", _facts(_result))),
        environment=RunEnvironment.from_dict(fields.take("environment", _facts(_circumstance))),
        notices=fields.take("notices", items(_text(NOTICE_LIMIT, lines=True), most=MAX_NOTICES)),
        weights=fields.take("weights", items(_weights_entry, most=2_000)),
    )
    fields.done()
    steps = [entry.step for entry in record.weights]
    if steps != sorted(set(steps)):
        refuse(f"the weights in {name} are not in step order")
    summary = record.summary
    named = (summary.epoch, summary.epochs, summary.best_epoch, summary.final_epoch, *(w.epoch for w in record.weights))
    latest = max((epoch for epoch in named if epoch is not None), default=0)
    if latest > record.config.epochs:
        refuse(f"{name} mentions epoch {latest:,}, but its run has {plural(record.config.epochs, 'epoch')}")
    # Earlier releases exported impossible end times after a clock was set back: such bundles open without them.
    return replace(record, finished_at=known_end(record.started_at, record.finished_at))


def known_end(started_at: float | None, finished_at: float | None) -> float | None:
    """Return when a run ended, None if that is before its start because the clock was set back."""
    backwards = started_at is not None and finished_at is not None and finished_at < started_at
    return None if backwards else finished_at


def clean(text: str, limit: int) -> str:
    """Return text in the form that bundles allow: hidden characters escaped, stripped, limited in length."""
    return escaped(text, lines=True).strip()[:limit].strip()


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Return tags in the form that bundles allow: clean, sorted, without duplicates."""
    return sorted({clean(tag, TAG_LIMIT) for tag in tags})


def _text(limit: int, *, lines: bool = False) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("is not text")
        try:
            value.encode()  # a lone surrogate cannot be stored
            if checked_text(value, "text", limit, lines=lines) != value:
                raise ValueError("has leading or trailing spaces")
        except (TextError, UnicodeEncodeError) as error:
            raise ValueError(f"cannot be stored: {error}") from error
        return value

    return check


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError("does not have the expected form")
        return value

    return check


def _state(value: Any) -> RunState:
    if not isinstance(value, str) or value not in {state.value for state in ENDS}:
        raise ValueError("is not a state in which a run can be exported")
    return RunState(value)


def _tags(value: Any) -> tuple[str, ...]:
    tags = items(_text(_TEXT_LIMIT), most=TAGS_LIMIT)(value)
    try:
        if checked_tags(tags) != tags:
            raise ValueError("are not sorted")
    except TextError as error:
        raise ValueError(f"cannot be stored: {error}") from error
    return tags


def _config(value: Any) -> RunConfig:
    """Check the settings like those of the lab itself: ranges, names of network and data set, network options."""
    if not isinstance(value, dict) or "schema" not in value:
        raise ValueError("is not an object with a schema")
    try:
        config = RunConfig.from_dict(value)
        get_dataset_spec(config.dataset)
        options = check_options(get_architecture(config.arch), config.arch_options)
        written = config.replace(arch_options=options).as_dict()
        if any(written[name] != given for name, given in upgrade(value).items()):
            raise ValueError("is not in the form that ConvLab writes")
    except ConfigError as error:
        raise ValueError(f"cannot be used: {error}") from error
    _matching(_RUN_ID)(config.init_from)
    _matching(_RUN_ID)(config.fork_of)
    if config.device != "auto":
        _device(config.device)
    return config


def _facts(check: Callable[[str, Any], Any]) -> Callable[[Any], dict[str, Any]]:
    def check_all(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > _FACTS:
            raise ValueError(f"is not an object of at most {_FACTS} facts")
        if not all(_FACT.fullmatch(name) for name in value):
            raise ValueError("has an invalid name")
        return {name: check(name, item) for name, item in value.items()}

    return check_all


def _result(name: str, value: Any) -> Any:
    """Check one result. Pages rely on results being numbers; only the outcome is text."""
    return _fact(name, value, RunSummary.kind(name))


def _circumstance(name: str, value: Any) -> Any:
    return _fact(name, value, RunEnvironment.kind(name))


def _fact(name: str, value: Any, kind: Kind) -> Any:
    if not kind.fits(value):
        raise ValueError(f"has {name} = {str(value)[:40]!r}, but it {kind.rule}")
    return _text(_TEXT_LIMIT)(value) if isinstance(value, str) else value


def _device(value: Any) -> str:
    if not is_device(value):
        raise ValueError(f"is {str(value)[:40]!r}, but it {DEVICES.rule}")
    return str(value)


def _weights_entry(value: Any) -> WeightsEntry:
    fields = Fields(value, "the list of weights")
    entry = WeightsEntry(
        fields.take("step", whole(0, _MAX_STEPS)),
        fields.take("epoch", whole(0, 10_000)),
        fields.take("created_at", moment),
    )
    fields.done()
    return entry
