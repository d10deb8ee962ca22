"""Galleries of data sets, networks and experiments: the options of the form's lists as cards with pictures.

Nothing here imports torch, and nothing is drawn before a gallery is opened.
"""

from collections.abc import Callable, Iterable

import streamlit as st

from lab.architectures.outline import outline_of
from lab.architectures.registry import Architecture, arch_title, list_architectures
from lab.charts.data_url import png_url, svg_url
from lab.charts.outlines import outline_svg
from lab.config.repeats import setting_key
from lab.data.registry import dataset_title, get_dataset_spec, list_datasets
from lab.data.spec import DatasetSpec
from lab.formatting import format_count, format_percent, plural
from lab.presets import OWN, REPORTS, Preset, list_presets
from lab.runs.records import RunRecord
from pages.cache.datasets import dataset_picture
from pages.cache.lab import get_lab
from pages.components.cards import Card, cards
from pages.state.keys import element
from pages.state.train import TRAIN, form_value
from pages.widgets.runs import local_title

_TITLES = {"preset": "Choose an experiment", "dataset": "Choose a data set", "arch": "Choose a network"}
_OTHERS = "Others"  # networks without a family


def browse_button(field: str) -> None:
    """Draw the button that opens the gallery of a form field: "preset", "dataset" or "arch"."""
    st.button(
        "Browse",
        icon=":material/grid_view:",
        key=element("browse", field),
        help=f"{_TITLES[field]} from pictures.",
        on_click=TRAIN.change,
        kwargs={"browse": field},
    )


def gallery(present: Iterable[str], *, take: Callable[[str, str], None]) -> None:
    """Show the gallery that is open, if any. present: ids of the data sets on this machine.

    take: called with the field and the chosen id, before the page reruns.
    """
    field = TRAIN.read().browse
    if field not in _TITLES:
        return

    def pick(chosen: str) -> None:
        TRAIN.change(browse="")
        take(field, chosen)

    @st.dialog(_TITLES[field], width="large", on_dismiss=lambda: TRAIN.change(browse=""))
    def show() -> None:
        if TRAIN.read().browse != field:
            st.rerun()  # a card was clicked
        choices, chosen = _choices(field, frozenset(present))
        cards(f"train-cards-{field}", choices, name=_TITLES[field], chosen=chosen, on_pick=pick)

    show()


def _choices(field: str, present: frozenset[str]) -> tuple[list[Card], str | None]:
    if field == "dataset":
        return _datasets(present), str(form_value("dataset"))
    if field == "arch":
        return _networks(str(form_value("dataset"))), str(form_value("arch"))
    return _presets(), TRAIN.read().preset


def best_run(*, dataset: str, arch: str = "") -> RunRecord | None:
    """Return the run of this lab with the best test accuracy on a data set. arch: only runs of this network."""
    where = f"dataset:{dataset}" + (f" arch:{arch}" if arch else "")
    best = get_lab().store.runs.list(where=where, order="-test", limit=1)
    return best[0] if best and best[0].headline.test_accuracy is not None else None


def reached(*, dataset: str, arch: str = "") -> str:
    """Return a sentence with the best test accuracy of this lab's runs, "" if there is none."""
    best = best_run(dataset=dataset, arch=arch)
    if best is None or best.headline.test_accuracy is None:
        return ""
    accuracy = format_percent(best.headline.test_accuracy)
    return f"Best here: {accuracy}." if arch else f"Best here: {accuracy}, by {arch_title(best.config.arch)}."


def network_picture(arch: str) -> str:
    """Return a network's picture as a data URL, "" if there is none."""
    outline = outline_of(arch)
    return "" if outline is None else svg_url(outline_svg(outline))


def network_size(arch: str) -> str:
    """Return a text such as "61.7 k parameters, 5 layers", "" if the size is unknown."""
    outline = outline_of(arch)
    return "" if outline is None else f"{format_count(outline.params)} parameters, {plural(outline.layers, 'layer')}"


def _datasets(present: frozenset[str]) -> list[Card]:
    known = [*list_datasets(), *(get_dataset_spec(id) for id in sorted(present - {d.id for d in list_datasets()}))]
    there = [_dataset(spec, here=True) for spec in known if spec.id in present]
    return there + [_dataset(spec, here=False) for spec in known if spec.id not in present]


def _dataset(spec: DatasetSpec, *, here: bool) -> Card:
    count = spec.train_images + spec.test_images
    images = f"{plural(count, 'image')}, " if count else ""
    picture = dataset_picture(spec.id)
    return Card(
        spec.id,
        local_title(spec) if spec.local else spec.title,
        picture=png_url(picture) if picture else "",
        group="On this machine" if here else "Not downloaded",
        one=f"{images}{plural(len(spec.classes), 'class', 'classes')}, {spec.image_size}×{spec.image_size}",
        two=reached(dataset=spec.id) if here else f"{spec.download_mb} MB" if spec.download_mb else "",
    )


def _networks(dataset: str) -> list[Card]:
    families: dict[str, list[Architecture]] = {}
    for arch in list_architectures():
        families.setdefault(arch.family or _OTHERS, []).append(arch)
    families[_OTHERS] = families.pop(_OTHERS, [])  # last
    return [
        Card(
            arch.id,
            arch.title,
            picture=network_picture(arch.id),
            group=family,
            one=network_size(arch.id),
            two=reached(dataset=dataset, arch=arch.id),
        )
        for family, members in families.items()
        for arch in members
    ]


def _presets() -> list[Card]:
    lab = get_lab()
    asked = {preset.id: lab.validation.resolve(preset.config()).config for preset in list_presets()}
    found = lab.store.runs.find_settings(list(asked.values()))
    return [
        _preset(preset, found.get(setting_key(asked[preset.id]), ()))
        for report in REPORTS
        for preset in list_presets(report)
    ]


def _preset(preset: Preset, runs: Iterable[RunRecord]) -> Card:
    config = preset.config()
    accuracies = [run.headline.test_accuracy for run in runs if run.headline.test_accuracy is not None]
    reported = preset.reported.test_accuracy
    facts = [] if reported is None else [f"report {format_percent(reported)}"]
    facts += [f"best here {format_percent(max(accuracies))}"] if accuracies else []
    return Card(
        preset.id,
        preset.title,
        picture=network_picture(config.arch),
        group=REPORTS[preset.report] if preset.report == OWN else f"Report {preset.report} · {REPORTS[preset.report]}",
        one=f"{arch_title(config.arch)}, {dataset_title(config.dataset)}, {plural(config.epochs, 'epoch')}",
        two=", ".join(facts),
    )
