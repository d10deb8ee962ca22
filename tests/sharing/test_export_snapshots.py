"""Snapshots of every export of the runs of release 0.1.0: what a reader of the file finds, field by field."""

import ast
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
import safetensors.numpy
import torch
from torch import nn

from lab import __version__
from lab.architectures.build import build_network
from lab.errors import InputError, LabError
from lab.runs.records import RunRecord, RunState
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sharing.bundle.read import import_bundle
from lab.sharing.comparison import comparison_table, list_results, run_labels, settings_table
from lab.sharing.formats import export_runs, list_formats
from lab.sharing.script.layers import describe, used_types
from lab.sharing.script.program import write_script
from lab.sharing.sweep_files import get_sweep_format, trials_csv
from lab.sharing.tables import latex_text, markdown_text, number_columns
from lab.sweeps.records import Measured, Source, TrialRecord, TrialState
from lab.sweeps.spec import read_spec
from tests.charts.charts_data import run as chart_run
from tests.golden.opening import GOLDEN, read, unpack_home
from tests.sharing.hostile_bundles import every_case
from tests.snapshots import check, flat

RELEASE = "0.1.0"
_VOID = {"meta", "br", "img", "path", "circle", "rect", "link"}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    home = unpack_home(RELEASE, tmp_path_factory.mktemp("old") / "home")
    return Lab(Settings.from_env({"LAB_HOME": str(home), "LAB_DEVICE": "cpu"}))


def runs_of(old: Lab, *kinds: str) -> list[RunRecord]:
    return [old.store.runs.get(read(RELEASE, "expected.json")["ids"][kind]) for kind in kinds]


@pytest.mark.parametrize("format", ["markdown", "latex", "markdown-settings", "latex-settings"])
def test_tables_of_runs_match_their_snapshots(old: Lab, format: str) -> None:
    chosen = runs_of(old, "finished", "second_seed", "one_cycle", "diverged", "paused", "fine_tuned")
    check(f"exports/{format}.txt", export_runs(old, chosen, format=format)[""].decode())


def test_points_in_csv_and_json_match_their_snapshot(old: Lab) -> None:
    chosen = runs_of(old, "diverged")
    table = export_runs(old, chosen, format="csv")[""].decode().replace("\r\n", "⏎\n")
    lines = table.split("\n")
    document = json.loads(export_runs(old, chosen, format="json")[""])
    assert document["runs"][0].pop("config") == chosen[0].config.as_dict()
    check("exports/points.txt", "\n".join([*lines[:40:13], f"{len(lines)} lines", flat(document)]))


def events_of(data: bytes) -> Iterator[Any]:
    """Yield the events of TFRecords, each stored as its length, a checksum, the record and another checksum."""
    from tensorboard.compat.proto.event_pb2 import Event

    position = 0
    while position < len(data):
        (length,) = struct.unpack("<Q", data[position : position + 8])
        yield Event.FromString(data[position + 12 : position + 12 + length])
        position += 16 + length


def test_tensorboard_events_match_their_snapshot(old: Lab) -> None:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    files = export_runs(old, runs_of(old, "finished"), format="tensorboard")
    ((name, data),) = files.items()
    first, columns, settings, *points = list(events_of(data))
    lines = [name, f"{first.wall_time:.3f} {first.file_version}"]
    for event in (columns, settings):
        (value,) = event.summary.value
        content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
        lines += [value.tag, *(" ".join(str(part).split()) for part in content.experiment.metric_infos)]
        lines += [" ".join(str(info.name) for info in content.experiment.hparam_infos)]
        start = content.session_start_info
        values = {name: start.hparams[name] for name in sorted(start.hparams)}
        lines += [f"{name} = {' '.join(str(each).split())}" for name, each in values.items()]
        lines += [f"{start.group_name} {start.start_time_secs:.3f}"]
    shown = [
        f"{e.wall_time:.3f} {e.step} {e.summary.value[0].tag} {e.summary.value[0].simple_value:.6g}" for e in points
    ]
    check("exports/events.txt", "\n".join([*lines, *shown[::6], f"{len(shown)} points"]))


def test_the_model_card_and_the_facts_in_weights_match_their_snapshot(old: Lab) -> None:
    lines = []
    for kind in ("early_stopped", "fine_tuned"):
        files = export_runs(old, runs_of(old, kind), format="safetensors")
        (length,) = struct.unpack("<Q", files[""][:8])
        header = json.loads(files[""][8 : 8 + length])
        tensors = {name: each.shape for name, each in sorted(safetensors.numpy.load(files[""]).items())}
        lines += [flat(json.loads(header["__metadata__"]["convlab"])), flat(tensors), files[".card.md"].decode()]
    check("exports/card.txt", "\n".join(lines))


def test_the_entries_of_a_bundle_match_their_snapshot(old: Lab) -> None:
    data = export_runs(old, runs_of(old, "diverged", "fine_tuned"), format="bundle")[""]
    lines = []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            packed = f"{entry.compress_type} {entry.create_system} {entry.external_attr:o} {entry.date_time}"
            size = "–" if entry.filename == "manifest.json" else entry.file_size  # varies with the time of the export
            lines.append(f"{entry.filename} {size} {packed}")
            if entry.filename == "runs/1/run.json":
                lines.append(flat(json.loads(archive.read(entry))))
            elif entry.filename == "runs/0/points.safetensors":
                arrays = safetensors.numpy.load(archive.read(entry))
                lines += [f"{name} {each.dtype} {each.shape} {each[-1]:.7g}" for name, each in sorted(arrays.items())]
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["volatile"].pop("exported_at") > 0
    manifest["volatile"].pop("convlab")
    check("exports/bundle.txt", "\n".join([*lines, flat(manifest)]))


class _Text(HTMLParser):
    """Collects the visible text of a document, one element per line, with alt texts; omits scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._hidden += tag in ("script", "style")
        if tag == "img":
            self.lines.append(f"[{given.get('alt')}]")
        self.lines += [f"({name}: {given[name]})" for name in ("aria-label", "title", "stroke") if given.get(name)]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._hidden:
            self.lines.append(" ".join(data.split()))


@pytest.mark.parametrize("kinds", [("finished",), ("finished", "diverged")], ids=["one", "two"])
def test_the_text_of_a_report_matches_its_snapshot(old: Lab, kinds: tuple[str, ...]) -> None:
    text = _Text()
    text.feed(export_runs(old, runs_of(old, *kinds), format="html")[""].decode())
    lines = [
        re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC", "(now)", line).replace(__version__, "(this)")
        if "ritten" in line
        else line
        for line in text.lines
    ]
    lines = [" · ".join(lines[at : at + 8]) for at in range(0, len(lines), 8)]
    shown = lines[: 100 if len(kinds) == 1 else 16]  # the rest describes each run in the same way
    check(f"exports/report_{len(kinds)}.txt", "\n".join(shown))


def test_the_code_of_a_run_matches_its_snapshot(old: Lab) -> None:
    files = export_runs(old, runs_of(old, "one_cycle"), format="code")
    script = files[""].decode()
    check("exports/train.txt", "\n".join([script, *sorted(name for name in files if name)]))


def test_a_processor_name_from_a_bundle_is_only_a_string_literal_in_exported_code(old: Lab) -> None:
    name = 'EPYC"""\nraise SystemExit\n"""{TRAINED_ON}\''
    (run,) = runs_of(old, "one_cycle")
    run = replace(run, environment=replace(run.environment, name=name))
    given = ast.parse(write_script(old, run)[""]).body
    values = {ast.unparse(line.targets[0]): line.value for line in given if isinstance(line, ast.Assign)}
    assert ast.literal_eval(values["TRAINED_ON"]) == name
    assert not any(isinstance(line, ast.Raise) for line in given)


@pytest.mark.parametrize("id", ["lenet-bn", "resnet-small", "speedrun-cnn"])
def test_the_code_of_a_network_matches_its_snapshot(id: str) -> None:
    with torch.device("meta"):
        call = describe(build_network(id))
    assert call is not None
    used = [type_.__name__ for type_ in used_types(call)]
    lines = call.source(1).split("\n")
    check(f"exports/calls_{id}.txt", "\n".join([*lines[:40], *used[:6]]))


class _Odd(nn.Module):
    """A layer whose argument is not stored as an attribute."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.double = 2 * size


def test_a_network_with_layers_that_cannot_be_written_is_left_to_its_builder() -> None:
    assert describe(nn.Sequential(nn.ReLU(), _Odd(3))) is None
    layers = [nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(), nn.Conv2d(1, 2, (3, 1), padding=(1, 0), bias=False)]
    plain = describe(nn.Sequential(*layers))
    assert plain is not None
    assert [line.strip(" ,") for line in plain.source().split("\n")[1:-1]] == [
        "nn.MaxPool2d(3, stride=2, ceil_mode=True)",
        "nn.Dropout(p=0.5)",
        "nn.Conv2d(1, 2, (3, 1), padding=(1, 0), bias=False)",
    ]
    assert [str(layer) for layer in plain.build()] == [str(layer) for layer in layers]


def test_the_list_of_formats_matches_its_snapshot() -> None:
    names = ("id", "title", "help", "suffix", "mime", "many", "folder", "weights", "main")
    check("exports/formats.txt", flat([{name: getattr(one, name) for name in names} for one in list_formats()]))


def test_the_table_of_trials_matches_its_snapshot() -> None:
    spec = read_spec(
        {
            "base": {"dataset": "digits", "epochs": 8},
            "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "arch": {"values": ["lenet5", "lenet-bn"]}},
            "trials": 3,
        }
    )
    trials = (
        TrialRecord(
            number=1,
            run="aa",
            params={"lr": 0.01, "arch": "lenet5"},
            rung=2,
            values=(Measured(2, 0.5, 0.8), Measured(4, 0.25, 0.9)),
            state=TrialState.FINISHED,
            decision="=kept, because",
            source=Source.ADOPTED,
            seconds=12.5,
            epochs=4,
        ),
        TrialRecord(number=2, run="bb", params={"lr": 0.1, "nesterov": True, "arch_options": {"widths": [3, 4]}}),
    )
    check("exports/trials.txt", trials_csv(spec, "name", trials).decode().replace("\r\n", "⏎\n"))


def test_escaped_special_characters_match_their_snapshot() -> None:
    special = '\\ { } $ & # % _ ^ ~ < > " | [ ] ± ` * ! : @ a_b www.x.de'
    check("exports/escapes.txt", "\n".join([markdown_text(special), latex_text(special)]))


GROUPS = ("names", "attributes", "structure", "manifests", "records", "tensors")


@pytest.mark.parametrize("group", GROUPS)
def test_the_refusals_of_hostile_bundles_match_their_snapshots(old: Lab, group: str) -> None:
    bundle = (GOLDEN / RELEASE / "bundle.zip").read_bytes()
    cases: dict[str, list[str]] = {}
    for name, data in every_case(bundle, only=group):
        with pytest.raises(InputError) as caught:
            import_bundle(old, io.BytesIO(data))
        message = str(caught.value).removeprefix("This is not a bundle that ConvLab can import (")
        message = re.sub(r"(is damaged|is not strict JSON):.*", r"\1", message)  # Python's text varies by release
        message = message.removesuffix("): export it again from the lab it came from.")
        cases.setdefault(message, []).append(name.removeprefix(f"{group}: ").replace(" is wrong", ""))
    lines = [f"{message}: {', '.join(names)}".replace("runs/0/", "") for message, names in cases.items()]
    check(f"exports/refused_{group}.txt", "\n".join(lines))


def test_the_refusals_of_exports_match_their_snapshot(old: Lab) -> None:
    pair, live = runs_of(old, "finished", "paused"), runs_of(old, "queued")
    requests = [
        lambda: export_runs(old, [], format="csv"),
        lambda: export_runs(old, pair, format="onnx"),
        lambda: export_runs(old, pair, format="cvs"),
        lambda: export_runs(old, live, format="bundle"),
        lambda: export_runs(old, live, format="safetensors"),
        lambda: export_runs(old, pair * 101, format="bundle"),
        lambda: get_sweep_format("optun"),
    ]
    lines = []
    for request in requests:
        with pytest.raises(LabError) as caught:
            request()
        lines.append(f"{type(caught.value).__name__}: {caught.value}")
    check("exports/refusals.txt", "\n".join(lines))


def test_tables_and_labels_of_mixed_runs_match_their_snapshot() -> None:
    runs = [
        chart_run(1, seed=1, summary={"test_accuracy": 0.5, "val_accuracy": 0.25, "test_loss": 2.0}, seconds=4000.0),
        chart_run(2, seed=2, summary={"test_accuracy": 0.75, "params": 12_345}, keep_mb=7),
        chart_run(3, arch="lenet-bn", arch_options={"dropout": 0.25, "batch_norm": False}, nesterov=True),
        chart_run(4, arch="lenet-bn", lr=1e-5, state=RunState.RUNNING, summary={"test_accuracy": 0.1}),
        chart_run(5, folds=5, fold=1, name="fold"),
        chart_run(6, folds=5, fold=2, name="fold", optimizer="muon", schedule="cosine", augment="light", lr=0.3),
    ]
    lines = []
    for table in (comparison_table(runs), settings_table(runs)):
        lines += [flat(list(table.columns)), *(flat(list(row)) for row in table.rows), flat(number_columns(table))]
    lines += [flat(run_labels(chosen)) for chosen in (runs[:1], runs[:2], runs[2:4], runs[4:], [runs[0]] * 2)]
    lines += [flat(run_labels(runs, without=("seed", "lr"))), flat(list_results())]
    check("exports/settings.txt", "\n".join(lines))
