"""Command-line flags for the fields of a configuration and for how runs are submitted."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import click

from lab.architectures.registry import list_architectures
from lab.config import FIELDS, FieldSpec, RunConfig
from lab.errors import ConfigError, near_miss
from lab.executors.base import LOCAL
from lab.executors.config import TITLES
from lab.presets import get_preset
from lab.runs.edits import MAX_PRIORITY

_Function = TypeVar("_Function", bound=Callable[..., Any])


def config_options(function: _Function) -> _Function:
    """Add one flag for every field of the configuration; flags that are not given are `None`."""
    for spec in reversed(FIELDS.values()):
        function = _option(spec)(function)
    return function


def _option(spec: FieldSpec) -> Callable[[_Function], _Function]:
    if spec.kind is dict:
        return click.option(spec.flag, spec.name, multiple=True, metavar="NAME=VALUE", help=spec.help)
    shown = f"{spec.help} [default: {spec.default}]" if spec.default != "" else spec.help
    if spec.kind is bool:
        return click.option(f"{spec.flag}/--no-{spec.flag[2:]}", spec.name, default=None, help=shown)
    if spec.choices:
        shown = f"{spec.help} {', '.join(spec.choices)}. [default: {spec.default}]"
    metavar = {int: "N", float: "X", str: "ID"}[spec.kind]
    return click.option(spec.flag, spec.name, type=spec.kind, default=None, metavar=metavar, help=shown)


def executor_option(function: _Function) -> _Function:
    """Add the flag that chooses where a run is trained; None if it is not given."""
    choices = ", ".join((LOCAL, *TITLES))
    help = f"Where to train: {choices}. Executors are named in executors.toml (docs/scale.md). [default: {LOCAL}]"
    return click.option("--on", "executor", default=None, metavar="ID", help=help)(function)


def run_options(function: _Function) -> _Function:
    """Add the flags of commands that submit one run: --name, --tag, --no-cache and --detach."""
    options = (
        click.option("--name", default="", help="A name for the run."),
        click.option("--tag", "tags", multiple=True, help="A tag for the run; can be given several times."),
        click.option("--no-cache", is_flag=True, help="Train again even if the store has a run with these settings."),
        click.option("--detach", is_flag=True, help="Queue the run and return; a background worker trains it."),
    )
    for option in reversed(options):
        function = option(function)
    return function


class Asked(NamedTuple):
    """The owner, queue priority and executor of new runs; the field names are those of `Submissions.submit`."""

    owner: str | None
    priority: int
    executor: str | None


def asking_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add --owner, --priority and --on, which the command receives together as `asked`."""

    @wraps(function)
    def command(*arguments: Any, owner: str | None, priority: int, executor: str | None, **rest: Any) -> None:
        function(*arguments, asked=Asked(owner, priority, executor), **rest)

    options = (
        click.option("--owner", metavar="NAME", help="Owner of the run; by default LAB_OWNER, else none."),
        click.option(
            "--priority",
            type=click.IntRange(-MAX_PRIORITY, MAX_PRIORITY),
            default=0,
            show_default=True,
            metavar="N",
            help="Priority in the queue, highest first; runs of equal priority take turns by owner.",
        ),
        executor_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def parse_option(text: str) -> tuple[str, Any]:
    """Parse `widths=32,128`, `dropout=0.5` or `aux=true` into a name and a value."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise ConfigError(f"The network option is {text!r}, but it must look like NAME=VALUE.", field="arch_options")
    if "," in value:
        return name, [_scalar(part) for part in value.removesuffix(",").split(",")]
    return name, _scalar(value)


def parse_setting(text: str) -> tuple[str, Any, bool]:
    """Parse `lr=0.01` into a name, a value, and whether the name is an option of the network rather than a setting."""
    name, sign, value = text.partition("=")
    field = name.strip().replace("-", "_")
    if sign and field in FIELDS and FIELDS[field].kind is not dict:
        return field, value if FIELDS[field].kind is str else _scalar(value), False
    if not sign or not name:
        raise ConfigError(f"The change is {text!r}, but it must look like NAME=VALUE, such as lr=0.01.")
    known = [*FIELDS, *(option.name for arch in list_architectures() for option in arch.options)]
    if name not in known:
        raise ConfigError(f"No setting and no option of a network is called {name!r}. {near_miss(name, known)}")
    return *parse_option(text), True


def _scalar(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def build_config(preset: str | None, flags: dict[str, Any]) -> RunConfig:
    """Return the preset's configuration (or the default one) with the given flags.

    Network options are added to those of the preset, which are dropped if another network is chosen.
    """
    given = {name: value for name, value in flags.items() if value is not None and name != "arch_options"}
    base = get_preset(preset).config() if preset else RunConfig()
    inherited = base.arch_options if given.get("arch", base.arch) == base.arch else {}
    options = dict(parse_option(text) for text in flags.get("arch_options") or ())
    return base.replace(**given, arch_options={**inherited, **options})
