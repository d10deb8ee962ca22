"""`export` and `import`: write runs to a file, and read the runs of a bundle."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from lab.cli.output import echo, echo_written, json_flag, print_json, write_file
from lab.cli.run_json import as_dict
from lab.errors import InputError
from lab.service.lab import Lab
from lab.settings import user_path
from lab.sharing.bundle.read import import_bundle
from lab.sharing.formats import FORMATS, ExportFormat, export_runs, find_runs, get_format, zip_files
from lab.system_errors import reason, remedy
from lab.user_files import require_file


@click.command("export")
@click.argument("runs", nargs=-1)
@click.option(
    "--filter", "where", metavar="SEARCH", help='Export every run that this search of `runs` finds; "" finds all.'
)
@click.option("--format", "format", required=True, metavar="FORMAT", help=f"One of: {', '.join(FORMATS)}.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write; an existing file is replaced. A name ending in .zip writes all files into one zip.",
)
@json_flag
@click.pass_obj
def export(lab: Lab, runs: tuple[str, ...], where: str | None, format: str, out: Path, as_json: bool) -> None:
    """Export RUNS, or every run that --filter finds, to a file in one of the formats.

    The formats are bundle, HTML report, metrics, table, weights, ONNX, TensorBoard events and code.
    """
    if bool(runs) == (where is not None):
        raise click.UsageError("Give either RUNS or --filter with a search.")
    chosen = get_format(format)
    records = [lab.store.runs.resolve(run) for run in runs] if where is None else find_runs(lab.store.runs, where)
    files = export_runs(lab, records, format=format)
    written = write_files(files, chosen, out)
    if as_json:
        print_json({"format": format, "runs": [r.id for r in records], "files": written})
    else:
        for line in _lines(written):
            echo_written(out, line)


def _lines(written: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one line per file, and a single line for all modules of a package."""
    main, *others = written
    yield f"{main['path']}  {main['bytes']:,} bytes"
    package = [file for file in others if file["path"].endswith(".py")]
    if package:
        folder = os.path.commonpath([file["path"] for file in package])
        yield f"{folder}  {len(package)} modules, {sum(file['bytes'] for file in package):,} bytes"
    for file in others:
        if file not in package:
            yield f"{file['path']}  {file['bytes']:,} bytes"


def write_files(files: Mapping[str, bytes], format: ExportFormat, out: Path) -> list[dict[str, Any]]:
    """Write an export to `out` (below it, for a format that is a folder), and return paths and sizes.

    If the name ends in .zip, all files are written into one zip, as on the page.
    """
    if out.suffix.lower() == ".zip" and format.suffix != ".zip":
        files = {"": zip_files(files, format, stem=out.stem)}
        format = replace(format, folder=False)
    written = []
    for ending, data in files.items():
        if format.folder:
            path = out / ending
        elif "/" in ending:
            path = out.parent / ending
        else:
            # Only the format's own suffix is removed: lr-0.1 and lr-0.01 must not share a model card.
            path = out.with_name(out.name.removesuffix(format.suffix) + ending) if ending else out
        write_file(path, data)
        written.append({"path": str(path), "bytes": len(data)})
    return written


@click.command("import")
@click.argument("bundle", type=click.Path(path_type=Path))
@json_flag
@click.pass_obj
def import_runs(lab: Lab, bundle: Path, as_json: bool) -> None:
    """Import the runs of a BUNDLE after checking it."""
    try:
        require_file(user_path(bundle))
        with user_path(bundle).open("rb") as stream:
            records = import_bundle(lab, stream)
    except OSError as error:
        how = remedy(error, "give the path of a bundle")
        raise InputError(f"{bundle} cannot be read ({reason(error)}): {how}.") from error
    if as_json:
        print_json({"runs": [as_dict(run) for run in records]})
    else:
        for run in records:
            echo(f"Run {run.id} ({run.name}) was imported.")
