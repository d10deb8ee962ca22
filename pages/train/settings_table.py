"""A run's settings as a table: each as text, next to its default."""

from lab.architectures.registry import default_options, get_architecture, option_words, resolve_input_size
from lab.config import FIELDS, GROUPS, RunConfig
from lab.data.registry import get_dataset_spec
from lab.errors import UnknownNameError
from lab.runs.records import RunRecord
from lab.sharing.comparison import setting_words
from pages.widgets.runs import arch_title, dataset_title


def settings_table(run: RunRecord) -> list[dict[str, str]]:
    """Return the run's settings, those changed from the default first, as text."""
    rows = []
    defaults = _defaults(run.config)
    for group in GROUPS:
        for spec in (s for s in FIELDS.values() if s.group == group and s.relevant(run.config)):
            changed = getattr(run.config, spec.name) != getattr(defaults, spec.name)
            options_of = run.config.arch  # also for the defaults: those of another network would say nothing
            rows.append(
                {
                    "Setting": spec.label,
                    "Value": _words(run.config, spec.name, options_of),
                    "Default": _words(defaults, spec.name, options_of),
                    "Changed": "changed" if changed else "",
                    "Group": group,
                }
            )
    return sorted(rows, key=lambda row: not row["Changed"])


def _defaults(config: RunConfig) -> RunConfig:
    """Return the default settings, with the run's input size if it is the one that "auto" stands for."""
    try:
        arch, side = get_architecture(config.arch), get_dataset_spec(config.dataset).image_size
    except UnknownNameError:  # only another release has them
        return RunConfig()
    own, auto = (resolve_input_size(arch, size, image_size=side) for size in (config.input_size, "auto"))
    return RunConfig(input_size=config.input_size) if own == auto else RunConfig()


def _words(config: RunConfig, name: str, arch: str) -> str:
    """Return a setting as text: network and data set by their titles, and all options of the network `arch`."""
    if name == "arch":
        return arch_title(config.arch)
    if name == "dataset":
        return dataset_title(config.dataset)
    if name == "arch_options":
        return option_words(arch, {**default_options(arch), **config.arch_options}) or "none"
    return setting_words(name, getattr(config, name)) or "–"
