"""Registry of the export formats; the CLI, the export panel, the docs and the tests read it.

A format's module is imported on first use, so the list is available without torch and Plotly.
"""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from lab.errors import InputError, UnknownNameError, near_miss
from lab.lazy import load
from lab.runs.records import RunRecord, Series
from lab.sharing.comparison import Table, comparison_table, heading, settings_table
from lab.sharing.epochs import epoch_table
from lab.sharing.source import Source
from lab.sharing.tables import metrics_csv, metrics_json, write_csv, write_latex, write_markdown

if TYPE_CHECKING:
    from lab.runs.run_lookup import RunLookup

CARD = ".card.md"
# Ending of the file name -> content: "" is the file itself; ".card.md" and paths with "/" are additional files next to
# it. For a folder format, every name is a path in the folder.
Files: TypeAlias = Mapping[str, bytes]
Writer: TypeAlias = Callable[[Source, Sequence[RunRecord]], Files]


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One export format.

    many: whether one file can hold several runs. folder: the result is a folder of files. weights: needs saved weights.
    main: the name of the file itself in a zip, for a format that adds a folder next to it.
    """

    id: str
    title: str
    help: str
    suffix: str
    mime: str
    write: Writer
    many: bool = False
    folder: bool = False
    weights: bool = False
    main: str = ""


def export_runs(source: Source, runs: Sequence[RunRecord], *, format: str) -> Files:
    """Return the files of these runs in a format.

    Raises `UnknownNameError` for an unknown format, `InputError` if there are no runs, too many runs or no weights.
    """
    chosen = get_format(format)
    if not runs:
        raise InputError("There is no run to export: name at least one.")
    if len(runs) > 1 and not chosen.many:
        raise InputError(f"{chosen.title} holds one run, but {len(runs)} were given: export them one by one.")
    return chosen.write(source, runs)


def find_runs(lookup: "RunLookup", where: str, *, limit: int | None = None) -> tuple[RunRecord, ...]:
    """Return the runs that a search finds, newest first; "" finds all. Raises `InputError` if it finds none."""
    found = lookup.list(where=where, limit=limit)
    if not found:
        raise InputError(f"The search {where!r} finds no run." if where else "There are no runs yet: train one first.")
    return found


def zip_files(files: Files, format: ExportFormat, *, stem: str) -> bytes:
    """Return all files of an export as one zip. stem: the file name without its ending, if the format has no `main`."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for ending, data in files.items():
            inside = format.folder or "/" in ending
            archive.writestr(ending if inside else format.main or stem + (ending or format.suffix), data)
    return target.getvalue()


def get_format(format: str) -> ExportFormat:
    """Return one format. Raises `UnknownNameError`, which suggests the nearest name, if it does not exist."""
    if format not in FORMATS:
        raise UnknownNameError(f"There is no export format {format!r}. {near_miss(format, FORMATS)}", field="format")
    return FORMATS[format]


def list_formats() -> tuple[ExportFormat, ...]:
    """Return every format, in the order menus show them."""
    return tuple(FORMATS.values())


def _points(source: Source, runs: Sequence[RunRecord]) -> list[tuple[RunRecord, Mapping[str, Series]]]:
    return [(run, source.store.points.read(run.id)) for run in runs]


def _csv(source: Source, runs: Sequence[RunRecord]) -> Files:
    # Excel recognises UTF-8 by the byte order mark.
    return {"": ("\ufeff" + metrics_csv(_points(source, runs))).encode()}


def _epochs(source: Source, runs: Sequence[RunRecord]) -> Files:
    table = epoch_table(_points(source, runs))
    return {"": ("\ufeff" + write_csv(table.columns, table.rows)).encode()}


def _json(source: Source, runs: Sequence[RunRecord]) -> Files:
    return {"": metrics_json(_points(source, runs)).encode()}


def _table(write: Callable[[Table], str], table_of: Callable[[Sequence[RunRecord]], Table]) -> Writer:
    """Return a writer of a table, with settings under their labels."""

    def written(_source: Source, runs: Sequence[RunRecord]) -> Files:
        table = table_of(runs)
        return {"": write(Table(tuple(map(heading, table.columns)), table.rows)).encode()}

    return written


def _of_runs(place: str) -> Writer:
    """Return a writer that calls the function at `place` with source and runs; text is encoded as UTF-8."""

    def write(source: Source, runs: Sequence[RunRecord]) -> Files:
        content = load(place)(source, runs)
        return {"": content.encode() if isinstance(content, str) else content}

    return write


def _of_network(place: str) -> Writer:
    """Return a writer that calls the function at `place` with the run's network and adds the model card."""

    def write(source: Source, runs: Sequence[RunRecord]) -> Files:
        loaded = source.weights.load(runs[0].id)
        card: str = load("lab.sharing.weights:model_card")(loaded)
        return {"": load(place)(loaded), CARD: card.encode()}

    return write


def _code(source: Source, runs: Sequence[RunRecord]) -> Files:
    files: Files = load("lab.sharing.script.program:write_script")(source, runs[0])
    return files


def _tensorboard(source: Source, runs: Sequence[RunRecord]) -> Files:
    files: Files = load("lab.sharing.event_files:event_files")(source, runs)
    return files


_ALL = (
    ExportFormat(
        "html",
        "Report (one HTML file)",
        "Settings, interactive curves, mistakes, feature maps; works offline.",
        ".html",
        "text/html",
        _of_runs("lab.sharing.report.page:write_report"),
        many=True,
    ),
    ExportFormat(
        "bundle",
        "Bundle (.zip)",
        "Everything: settings, curves, saved weights, environment. Another lab imports it.",
        ".zip",
        "application/zip",
        _of_runs("lab.sharing.bundle.write:write_bundle"),
        many=True,
    ),
    ExportFormat(
        "csv", "Metrics (CSV)", "Every point of every curve, one row each.", ".csv", "text/csv", _csv, many=True
    ),
    ExportFormat(
        "epochs",
        "Epochs (CSV)",
        "One row an epoch, one column a metric: for spreadsheets.",
        "-epochs.csv",
        "text/csv",
        _epochs,
        many=True,
    ),
    ExportFormat(
        "json",
        "Metrics (JSON)",
        "Settings, results and every point, strict JSON.",
        ".json",
        "application/json",
        _json,
        many=True,
    ),
    ExportFormat(
        "markdown",
        "Table (Markdown)",
        "Differing settings and results, one row a run.",
        ".md",
        "text/markdown",
        _table(write_markdown, comparison_table),
        many=True,
    ),
    ExportFormat(
        "latex",
        "Table (LaTeX)",
        "Differing settings and results, one row a run, to paste into a LaTeX report.",
        ".tex",
        "application/x-tex",
        _table(write_latex, comparison_table),
        many=True,
    ),
    ExportFormat(
        "markdown-settings",
        "Table of settings (Markdown)",
        "One row a setting: mean, spread and number of its seeds.",
        "-settings.md",
        "text/markdown",
        _table(write_markdown, settings_table),
        many=True,
    ),
    ExportFormat(
        "latex-settings",
        "Table of settings (LaTeX)",
        "One row a setting: mean, spread and number of its seeds, to paste into a LaTeX report.",
        "-settings.tex",
        "application/x-tex",
        _table(write_latex, settings_table),
        many=True,
    ),
    ExportFormat(
        "safetensors",
        "Weights (safetensors)",
        "The best saved weights and their model card.",
        ".safetensors",
        "application/octet-stream",
        _of_network("lab.sharing.weights:safetensors_bytes"),
        weights=True,
    ),
    ExportFormat(
        "state-dict",
        "Weights (PyTorch state_dict)",
        "The best saved weights in the format of torch.save.",
        ".pt",
        "application/octet-stream",
        _of_network("lab.sharing.weights:state_dict_bytes"),
        weights=True,
    ),
    ExportFormat(
        "onnx",
        "Network (ONNX)",
        "Opset 18, checked against PyTorch to 1e-4; opens in Netron.",
        ".onnx",
        "application/octet-stream",
        _of_network("lab.sharing.onnx_file:onnx_bytes"),
        weights=True,
    ),
    ExportFormat(
        "torch-export",
        "Network (torch.export)",
        "A program for torch.export.load; needs no source code.",
        ".pt2",
        "application/octet-stream",
        _of_network("lab.sharing.onnx_file:program_bytes"),
        weights=True,
    ),
    ExportFormat(
        "tensorboard",
        "TensorBoard events",
        "A folder for `tensorboard --logdir`: curves and hyperparameters.",
        "",
        "application/zip",
        _tensorboard,
        many=True,
        folder=True,
    ),
    ExportFormat(
        "code",
        "Code (train.py)",
        "PyTorch code, with the modules it imports, that reproduces the run: bit for bit on a CPU of the same kind.",
        ".py",
        "text/x-python",
        _code,
        main="train.py",
    ),
)
FORMATS: dict[str, ExportFormat] = {format.id: format for format in _ALL}
