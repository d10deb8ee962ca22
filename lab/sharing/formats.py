"""The only list of what runs can be taken away as; the shell, the export panel, the docs and the tests read it here.

Nothing here imports torch until a format that needs it is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lab.errors import InputError, UnknownNameError, near_miss
from lab.loaded_network import LoadedNetwork
from lab.runs.records import RunRecord, Series
from lab.sharing.comparison import comparison_table
from lab.sharing.source import Source
from lab.sharing.tables import metrics_csv, metrics_json, write_latex, write_markdown

CARD = ".card.md"
# Ending of the name -> content: "" is the file itself, ".card.md" and paths with "/" lie beside it. For a format that is a
# folder, every name is a path in it.
Files: TypeAlias = Mapping[str, bytes]
Writer: TypeAlias = Callable[[Source, Sequence[RunRecord]], Files]


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One way to take runs away.

    many: whether several runs fit into one file. folder: the result is a folder of files. weights: needs kept weights.
    main: what the file itself is called in a zip, for a format whose file comes with a folder beside it.
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

    Raises `UnknownNameError` for the format, `InputError` where the runs do not fit into it or lack weights.
    """
    chosen = get_format(format)
    if not runs:
        raise InputError("There is no run to export: name at least one.")
    if len(runs) > 1 and not chosen.many:
        raise InputError(f"{chosen.title} holds one run, but {len(runs)} were given: export them one by one.")
    return chosen.write(source, runs)


def get_format(format: str) -> ExportFormat:
    """Return one format; an unknown one raises `UnknownNameError` with the near miss."""
    if format not in FORMATS:
        raise UnknownNameError(f"There is no export format {format!r}. {near_miss(format, FORMATS)}", field="format")
    return FORMATS[format]


def list_formats() -> tuple[ExportFormat, ...]:
    """Return every format, in the order menus show them."""
    return tuple(FORMATS.values())


def _points(source: Source, runs: Sequence[RunRecord]) -> list[tuple[RunRecord, Mapping[str, Series]]]:
    return [(run, source.store.points(run.id)) for run in runs]


def _csv(source: Source, runs: Sequence[RunRecord]) -> Files:
    # The byte order mark tells Excel that the file is UTF-8.
    return {"": ("\ufeff" + metrics_csv(_points(source, runs))).encode()}


def _json(source: Source, runs: Sequence[RunRecord]) -> Files:
    return {"": metrics_json(_points(source, runs)).encode()}


def _markdown(_source: Source, runs: Sequence[RunRecord]) -> Files:
    return {"": write_markdown(comparison_table(runs)).encode()}


def _latex(_source: Source, runs: Sequence[RunRecord]) -> Files:
    return {"": write_latex(comparison_table(runs)).encode()}


def _with_card(source: Source, runs: Sequence[RunRecord], encode: Callable[[LoadedNetwork], bytes]) -> Files:
    from lab.sharing.weights import model_card

    loaded = source.weights.load(runs[0].id)
    return {"": encode(loaded), CARD: model_card(loaded).encode()}


def _safetensors(source: Source, runs: Sequence[RunRecord]) -> Files:
    from lab.sharing.weights import safetensors_bytes

    return _with_card(source, runs, safetensors_bytes)


def _state_dict(source: Source, runs: Sequence[RunRecord]) -> Files:
    from lab.sharing.weights import state_dict_bytes

    return _with_card(source, runs, state_dict_bytes)


def _code(source: Source, runs: Sequence[RunRecord]) -> Files:
    from lab.sharing.script.program import write_script

    return write_script(source, runs[0])


def _bundle(source: Source, runs: Sequence[RunRecord]) -> Files:
    from lab.sharing.bundle.write import write_bundle

    return {"": write_bundle(source, runs)}


def _html(source: Source, runs: Sequence[RunRecord]) -> Files:
    from lab.sharing.report.page import write_report

    return {"": write_report(source, runs).encode()}


def _onnx(source: Source, runs: Sequence[RunRecord]) -> Files:
    from lab.sharing.onnx_file import onnx_bytes

    return _with_card(source, runs, onnx_bytes)


def _torch_export(source: Source, runs: Sequence[RunRecord]) -> Files:
    from lab.sharing.onnx_file import program_bytes

    return _with_card(source, runs, program_bytes)


def _tensorboard(source: Source, runs: Sequence[RunRecord]) -> Files:
    from lab.sharing.event_files import event_files

    return event_files(source, runs)


_ALL = (
    ExportFormat(
        "html",
        "Report (one HTML file)",
        "Settings, interactive curves, mistakes, feature maps; needs no network.",
        ".html",
        "text/html",
        _html,
        many=True,
    ),
    ExportFormat(
        "bundle",
        "Bundle (.zip)",
        "Everything: settings, curves, kept weights, environment. Another lab imports it.",
        ".zip",
        "application/zip",
        _bundle,
        many=True,
    ),
    ExportFormat(
        "csv", "Metrics (CSV)", "Every point of every curve, one row each.", ".csv", "text/csv", _csv, many=True
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
        _markdown,
        many=True,
    ),
    ExportFormat(
        "latex", "Table (LaTeX)", "The same table for a report.", ".tex", "application/x-tex", _latex, many=True
    ),
    ExportFormat(
        "safetensors",
        "Weights (safetensors)",
        "The best kept weights and their model card.",
        ".safetensors",
        "application/octet-stream",
        _safetensors,
        weights=True,
    ),
    ExportFormat(
        "state-dict",
        "Weights (PyTorch state_dict)",
        "The best kept weights as torch.save writes them.",
        ".pt",
        "application/octet-stream",
        _state_dict,
        weights=True,
    ),
    ExportFormat(
        "onnx",
        "Network (ONNX)",
        "Opset 18, checked against PyTorch to 1e-4; opens in Netron.",
        ".onnx",
        "application/octet-stream",
        _onnx,
        weights=True,
    ),
    ExportFormat(
        "torch-export",
        "Network (torch.export)",
        "The program that torch.export.load reads, without any source.",
        ".pt2",
        "application/octet-stream",
        _torch_export,
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
        "PyTorch code that repeats the run, to the last bit on a CPU, with the modules it imports beside it.",
        ".py",
        "text/x-python",
        _code,
        main="train.py",
    ),
)
FORMATS: dict[str, ExportFormat] = {format.id: format for format in _ALL}
