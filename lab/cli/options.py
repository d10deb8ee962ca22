"""Flags of the command line that stand for the fields of a configuration."""

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
from lab.runs.edits import MOST_PRIORITY

_Function = TypeVar("_Function", bound=Callable[..., Any])


def config_options(function: _Function) -> _Function:
    """Add one flag for every field of the configuration; what is not given stays `None`."""
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
    """Add the flag that chooses where a run is trained; None where it is not given."""
    choices = ", ".join((LOCAL, *TITLES))
    help = f"Where to train: {choices}. Engines are named in executors.toml (docs/scale.md). [default: {LOCAL}]"
    return click.option("--on", "executor", default=None, metavar="ID", help=help)(function)


class Asked(NamedTuple):
    """Whose new runs are, how they wait, and where they may be trained; the names are those of `Submissions.submit`."""

    owner: str | None
    priority: int
    executor: str | None


def asking_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add --owner, --priority and --on; the command gets them together, as `asked`."""

    @wraps(function)
    def command(*arguments: Any, owner: str | None, priority: int, executor: str | None, **rest: Any) -> None:
        function(*arguments, asked=Asked(owner, priority, executor), **rest)

    options = (
        click.option(
            "--owner", metavar="NAME", help="Who asks for it; by default LAB_OWNER, else no one in particular."
        ),
        click.option(
            "--priority",
            type=click.IntRange(-MOST_PRIORITY, MOST_PRIORITY),
            default=0,
            show_default=True,
            metavar="N",
            help="Priority in the queue, the highest first; among equals, owners take turns.",
        ),
        executor_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def parse_option(text: str) -> tuple[str, Any]:
    """Read `widths=32,128`, `dropout=0.5`, `aux=true` as a name and a value."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise ConfigError(f"The network option is {text!r}, but it must look like NAME=VALUE.", field="arch_options")
    if "," in value:
        return name, [_scalar(part) for part in value.removesuffix(",").split(",")]
    return name, _scalar(value)


def parse_setting(text: str) -> tuple[str, Any, bool]:
    """Read `lr=0.01` as a setting's name and value, and any other name as an option of the network (then True)."""
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

    Network options given one by one are added to the preset's, which are dropped where another network is chosen.
    """
    given = {name: value for name, value in flags.items() if value is not None and name != "arch_options"}
    base = get_preset(preset).config() if preset else RunConfig()
    inherited = base.arch_options if given.get("arch", base.arch) == base.arch else {}
    options = dict(parse_option(text) for text in flags.get("arch_options") or ())
    return base.replace(**given, arch_options={**inherited, **options})
