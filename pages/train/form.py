"""The Train page's form, built from `lab.config.FIELDS`, which defines the kind, range and meaning of each field.

Fields without effect, given the other ones, are hidden. Values live in `pages.state.train` and survive page switches.
"""

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from lab.architectures.registry import Architecture, check_options, get_architecture, list_architectures
from lab.charts.data_url import png_url
from lab.config import FIELDS, FieldSpec, Option, RunConfig
from lab.data.registry import get_dataset_spec, list_datasets
from lab.errors import ConfigError
from lab.formatting import format_duration, format_percent
from lab.lazy import load
from lab.presets import OWN, REPORTS, Preset, get_preset, list_presets
from pages.cache.datasets import run_samples
from pages.cache.design import Design, design_of
from pages.cache.lab import get_lab
from pages.cache.torch_import import warm_torch
from pages.markdown import plain
from pages.state.address import find_run
from pages.state.keys import element
from pages.state.train import TRAIN, fill_form, form_value, form_values, form_widget, option_widget, set_field
from pages.train.gallery import browse_button, gallery, network_picture, network_size, reached
from pages.widgets.asking import asking_inputs, asking_label
from pages.widgets.edit_layers import edit_layers_button
from pages.widgets.machine import device_choices
from pages.widgets.options import initial_value, option_input
from pages.widgets.runs import local_title, run_title
from pages.widgets.setting_input import setting_help, setting_input

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.elements.lib.grid_container import GridContainer

_FIRST = ("epochs", "batch_size", "optimizer", "lr")
_A_ROW = 3  # settings side by side
_MIN_PX = 135  # in a narrower column, labels would be cut off
_FIRST_PX = 118  # the same for the first settings, whose labels are short
_OFFERED = 100  # newest runs that are offered to start from
_THUMBNAIL_STYLE = """<style>
.cl-thumbnails { display: flex; flex-wrap: wrap; gap: 2px; height: 42px; width: 112px; align-content: center;
  font-size: .8rem; line-height: 1.2; overflow: hidden; }
.cl-thumbnails img.whole { height: 42px; } .cl-thumbnails img:not(.whole) { width: 20px; height: 20px;
  object-fit: contain; image-rendering: pixelated; border-radius: 3px; }
</style>"""
_SECTIONS = (
    ("Data", ":material/database:", "data", ("dataset",)),
    ("Optimizer and schedule", ":material/trending_down:", "optimizer", ("optimizer", "lr")),
    ("Loss", ":material/functions:", "loss", ()),
    ("Length, seed and early stopping", ":material/timer:", "training", ("epochs", "batch_size")),
    ("Device and engine", ":material/memory:", "engine", ()),
)


def train_form(present: Iterable[str]) -> tuple[RunConfig | None, ConfigError | None]:
    """Draw the form and return its configuration, or the error in it. present: ids of the data sets on this machine."""
    present = frozenset(present)
    config, error = read_form()
    _preset_picker()
    _say_fork()
    with st.container(border=True):
        left, right = st.columns(2)
        with left:
            _dataset(present)
        with right:
            _network(config)
        _options(config, error)
    with st.container(border=True):
        grid = st.grid(len(_FIRST), min_column_width=_FIRST_PX)
        for name in _FIRST:
            with grid.cell():
                setting(FIELDS[name])
        _complain(error, _FIRST)
    gallery(present, take=_take_card)
    for title, icon, group, shown_above in _SECTIONS:
        _section(title, icon, group, shown_above, config or _sound_part(), error)
    with st.expander(asking_label(), icon=":material/low_priority:", key=element("train-section", "asking")):
        asking_inputs()
    return read_form()


def read_form() -> tuple[RunConfig | None, ConfigError | None]:
    """Return the form's configuration, or the first error in its values."""
    try:
        config = RunConfig.from_dict(_entered())
        return config.replace(arch_options=check_options(get_architecture(config.arch), config.arch_options)), None
    except ConfigError as error:
        return None, error


def _entered() -> dict[str, Any]:
    values = form_values()
    return dict(values) if values.get("fork_of") else {**values, "fork_epoch": 0}  # its input is hidden without a fork


def _sound_part() -> RunConfig:
    """Return the form's configuration with defaults for invalid values, so that errors do not show or hide inputs."""
    values = _entered()
    for _ in FIELDS:
        try:
            return RunConfig.from_dict(values)
        except ConfigError as error:
            if error.field not in FIELDS:
                break
            values[error.field] = FIELDS[error.field].default
    return RunConfig()


def setting(spec: FieldSpec) -> None:
    """Draw one setting with the widget for its kind."""
    common: dict[str, Any] = form_widget(spec.name)
    if spec.name == "device":
        st.selectbox(spec.label, device_choices(), **common, help=setting_help(spec))
    elif spec.name == "init_from":
        _start_from(spec, common)
    elif spec.name == "fork_of":
        _fork_of(spec, common)
    else:
        setting_input(spec, common)


def _complain(error: ConfigError | None, fields: Collection[str]) -> None:
    """Show the error below the settings that it is about."""
    if error is not None and error.field in fields:
        st.error(plain(_in_the_form(error)), icon=":material/error:")


def _in_the_form(error: ConfigError) -> str:
    """Return an error's message with the setting's label instead of its name in flags and files."""
    label = FIELDS[error.field].label
    return label + str(error).removeprefix(error.field) if str(error).startswith(f"{error.field} ") else str(error)


def _start_from(spec: FieldSpec, common: dict[str, Any]) -> None:
    """Draw the choice of runs whose weights fit: runs of the same network with saved weights."""
    arch, chosen = form_value("arch"), str(form_value("init_from"))
    runs = get_lab().store.runs.list(limit=_OFFERED)
    labels = {"": "new weights"}
    labels |= {
        r.id: f"{run_title(r)} · {r.headline_text} · {r.id}" for r in runs if r.config.arch == arch and r.has_weights
    }
    labels.setdefault(chosen, chosen)
    st.selectbox(spec.label, list(labels), format_func=labels.__getitem__, **common, help=setting_help(spec))


def _fork_of(spec: FieldSpec, common: dict[str, Any]) -> None:
    """Show the run that a fork continues, with the option to start from initial weights instead.

    A fork is created on a run's page, so there are no other runs to choose.
    """
    chosen = str(form_value("fork_of"))
    run, _ = find_run(chosen)
    labels = {"": "none: start from initial weights", chosen: f"{run_title(run)} · {run.id}" if run else chosen}
    st.selectbox(spec.label, list(labels), format_func=labels.__getitem__, **common, help=setting_help(spec))


def _section(
    title: str, icon: str, group: str, shown_above: tuple[str, ...], config: RunConfig, error: ConfigError | None
) -> None:
    groups = (group, "early stopping") if group == "training" else (group,)
    specs = [s for s in FIELDS.values() if s.group in groups and s.name not in shown_above and s.relevant(config)]
    changed = sum(getattr(config, spec.name) != spec.default for spec in specs)
    wrong = error is not None and any(spec.name == error.field for spec in specs)
    label = f"{title} ({changed} changed)" if changed else title
    with st.expander(label, icon=icon, expanded=wrong, key=element("train-section", group)):
        grid = _rows()
        for spec in specs:
            with grid.cell():
                setting(spec)
        _complain(error, [spec.name for spec in specs])


def _rows() -> "GridContainer":
    """Return a grid for settings, filled row by row, so that a toggle does not move its neighbours."""
    return st.grid(_A_ROW, min_column_width=_MIN_PX, vertical_alignment="bottom")


def _dataset(present: frozenset[str]) -> None:
    spec = FIELDS["dataset"]
    titles = {d.id: d.title if d.id in present else f"{d.title} (not downloaded)" for d in list_datasets()}
    titles |= {id: local_title(get_dataset_spec(id)) for id in sorted(present - titles.keys())}
    chosen = str(form_value("dataset"))
    titles.setdefault(chosen, get_dataset_spec(chosen).title)  # a fine-tuned run's own drawings
    st.selectbox(
        spec.label,
        sorted(titles, key=lambda name: name not in present),
        format_func=titles.__getitem__,
        **form_widget("dataset"),
    )
    chosen_spec = get_dataset_spec(str(form_value("dataset")))
    with _field_row("dataset"):
        st.html(_thumbnails(chosen_spec.id))
        browse_button("dataset")
    st.caption(plain(f"{chosen_spec.description} {reached(dataset=chosen_spec.id)}"))


def _field_row(field: str) -> "DeltaGenerator":
    """Return the container of a field's select box or picture and of its Browse button."""
    return st.container(horizontal=True, vertical_alignment="bottom", gap="small", key=element("choose", field))


def _thumbnails(dataset: str) -> str:
    """Return a data set's first test image of each class in two rows of five; the height is the same without images."""
    samples = run_samples(dataset)
    pictures = [] if samples is None else samples.pictures
    shown = "".join(f'<img alt="" src="{png_url(png)}">' for png in pictures)
    return f'{_THUMBNAIL_STYLE}<div class="cl-thumbnails">{shown or "Preview after the download"}</div>'


def _network(config: RunConfig | None) -> None:
    titles = {arch.id: arch.title for arch in list_architectures()}
    st.selectbox(
        FIELDS["arch"].label,
        list(titles),
        format_func=titles.__getitem__,
        **form_widget("arch"),
    )
    arch = get_architecture(str(form_value("arch")))
    changed = config is None or bool(config.arch_options)  # picture and size are those of the default options
    with _field_row("arch"):
        st.html(_outline("" if arch.lists_layers and changed else arch.id))
        browse_button("arch")
    best = reached(dataset=str(form_value("dataset")), arch=arch.id)
    size = "" if changed else network_size(arch.id)
    st.caption(plain(" ".join(filter(None, (arch.description, size and f"{size}.", arch.reports, best)))))


def _outline(arch: str) -> str:
    """Return a network's picture, as high as a data set's thumbnails."""
    picture = network_picture(arch)
    shown = f'<img class="whole" alt="" src="{picture}">' if picture else ""
    return f'{_THUMBNAIL_STYLE}<div class="cl-thumbnails">{shown}</div>'


def _options(config: RunConfig | None, error: ConfigError | None) -> None:
    arch = get_architecture(str(form_value("arch")))
    design = _design(config) if config is not None and warm_torch() else None
    grid = _rows()
    with grid.cell():
        setting(FIELDS["input_size"])
    for option in arch.options:
        with st.container() if option.is_layer_list else grid.cell():
            option_input(option, option_widget(arch.id, option.name, default=initial_value(option)))
    if not arch.lists_layers:
        layers = load("pages.train.design:layers_of")(design) if design is not None else None
        with grid.cell():
            edit_layers_button("train", design, layers, partial(_edit, config or RunConfig()))
    _complain(error, ("arch", "arch_options", "input_size"))
    if design is not None and arch.lists_layers:
        load("pages.train.design:show_picture")(design)


def _design(config: RunConfig) -> Design:
    return design_of(config.arch, config.input_size, config.arch_options, get_dataset_spec(config.dataset))


def _edit(config: RunConfig, arch: Architecture, size: str, options: dict[str, Option]) -> None:
    """Fill the form with another network, in a callback; weights of the previous one would not fit it."""
    network: dict[str, Any] = {"arch": arch.id, "input_size": size, "arch_options": options}
    fill_form(config.replace(**network, init_from="", fork_of="", fork_epoch=0), baseline=TRAIN.read().baseline)


def _say_fork() -> None:
    """Show that these settings continue from another run's epoch; the inputs for it are far down."""
    of = str(form_value("fork_of"))
    if of:
        run, _ = find_run(of)
        st.info(
            plain(f"This run continues after epoch {form_value('fork_epoch')} of {run_title(run) if run else of}."),
            icon=":material/fork_right:",
        )


def _preset_picker() -> None:
    labels = {preset.id: preset.full_title for preset in list_presets()}
    with _field_row("preset"):
        st.selectbox(
            "Start from an experiment",
            list(labels),
            index=None,
            format_func=labels.__getitem__,
            placeholder="Your own settings",
            **TRAIN.widget("preset", then=_take_preset),
        )
        browse_button("preset")
    chosen = TRAIN.read().preset
    if chosen is not None:
        words = preset_words(get_preset(chosen))
        if words:
            st.caption(plain(words))


def _take_card(field: str, chosen: str) -> None:
    """Apply the choice made in the gallery."""
    if field == "preset":
        TRAIN.change(preset=chosen)
        _take_preset()
    else:
        set_field(field, chosen)


def _take_preset() -> None:
    chosen = TRAIN.read().preset
    if chosen is not None:
        fill_form(get_preset(chosen).config(), preset=chosen)


def preset_words(preset: Preset) -> str:
    """Return a report's results for an experiment, and what this lab chose for it; "" if there is nothing to say."""
    reported = preset.reported
    facts = []
    if reported.test_accuracy is not None:
        facts.append(f"{format_percent(reported.test_accuracy)} on the test set")
    if reported.last_loss is not None:
        facts.append(f"last loss {reported.last_loss:,g}")
    if reported.stopped_epoch is not None:
        facts.append(f"stopped after epoch {reported.stopped_epoch}")
    if reported.seconds is not None:
        facts.append(format_duration(reported.seconds))
    lines = [f"In the report: {', '.join(facts)}."] if facts else []
    if reported.note:
        lines.append(f"{reported.note[:1].upper()}{reported.note[1:]}.")
    if preset.ours:
        lines.append(f"Not stated in the report and chosen here: {preset.ours}.")
    where = [] if preset.report == OWN else [f"{REPORTS[preset.report]}."]
    return " ".join([*where, *lines])
