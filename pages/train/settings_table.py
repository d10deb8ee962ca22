"""A run's settings as a table: each as text, next to its default."""

from lab.architectures.registry import arch_title, default_options, find_option, get_architecture, resolve_input_size
from lab.config import FIELDS, GROUPS, RunConfig
from lab.data.registry import dataset_title, get_dataset_spec
from lab.errors import UnknownNameError
from lab.runs.records import RunRecord
from lab.sharing.comparison import setting_words


def settings_table(run: RunRecord) -> list[dict[str, str]]:
    """Return the run's settings, those changed from the default first, as text."""
    defaults = _defaults(run.config)
    rows = []
    for spec in (s for group in GROUPS for s in FIELDS.values() if s.group == group and s.relevant(run.config)):
        if spec.kind is dict:
            rows += _option_rows(run.config, spec.group)
            continue
        value, default = _words(run.config, spec.name), _words(defaults, spec.name)
        changed = getattr(run.config, spec.name) != getattr(defaults, spec.name)
        rows.append(_row(spec.label, value, default, changed=changed, group=spec.group))
    return sorted(rows, key=lambda row: not row["Changed"])


def _row(label: str, value: str, default: str, *, changed: bool, group: str) -> dict[str, str]:
    changed_words = "changed" if changed else ""
    return {"Setting": label, "Value": value, "Default": default, "Changed": changed_words, "Group": group}


def _option_rows(config: RunConfig, group: str) -> list[dict[str, str]]:
    """Return a row for each option of the run's network; of a network that is not known, for each that was changed."""
    rows = []
    for name, value in {**default_options(config.arch), **config.arch_options}.items():
        option = find_option(config.arch, name)
        label, now, default = name, str(value), "–"
        if option is not None:
            label, now, default = (
                option.label.capitalize(),
                option.value_words(value),
                option.value_words(option.default),
            )
        rows.append(_row(label, now, default, changed=name in config.arch_options, group=group))
    return rows


def _defaults(config: RunConfig) -> RunConfig:
    """Return the default settings, with the run's input size if it is the one that "auto" stands for."""
    try:
        arch, side = get_architecture(config.arch), get_dataset_spec(config.dataset).image_size
    except UnknownNameError:  # only another release has them
        return RunConfig()
    own, auto = (resolve_input_size(arch, size, image_size=side) for size in (config.input_size, "auto"))
    return RunConfig(input_size=config.input_size) if own == auto else RunConfig()


def _words(config: RunConfig, name: str) -> str:
    """Return a setting as text, network and data set by their titles."""
    if name == "arch":
        return arch_title(config.arch)
    if name == "dataset":
        return dataset_title(config.dataset)
    return setting_words(name, getattr(config, name)) or "–"
