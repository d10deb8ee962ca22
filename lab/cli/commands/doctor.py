"""`doctor`: check the installation, the paths and the stored data."""

import sqlite3
import sys
from importlib import metadata
from typing import Any

import click

from lab import __version__
from lab.cli.disks import examine_disks
from lab.cli.output import echo, json_flag, print_json
from lab.data.inventory import inspect_dataset
from lab.data.load import is_present
from lab.data.registry import list_datasets
from lab.errors import LabError
from lab.executors.config import read_executors
from lab.lazy import load
from lab.service.lab import Lab
from lab.text import hide_password

PACKAGES = ("torch", "torchvision", "streamlit", "plotly", "pandas", "numpy", "sqlalchemy", "safetensors", "captum")


def examine(lab: Lab) -> dict[str, Any]:
    """Return versions, paths, device, data sets, and a sentence for each problem."""
    problems: list[str] = []
    device: dict[str, Any] = {}
    state: dict[str, Any] = {"database": hide_password(lab.settings.database)}
    try:
        describe, resolve = (load(f"lab.devices:{name}") for name in ("describe_device", "resolve_device"))
        device = describe(resolve(lab.settings.device))
    except LabError as error:
        problems.append(str(error))
    try:
        state["runs"] = lab.store.runs.count()
        problems += _stored(lab)
    except LabError as error:
        problems.append(str(error))
    try:
        read_executors(lab.settings)
    except LabError as error:
        problems.append(str(error))
    present = [spec.id for spec in list_datasets() if is_present(spec.id, root=lab.settings.data)]
    free_bytes, unwritable = examine_disks(lab)
    for spec in list_datasets():
        finding = inspect_dataset(spec, root=lab.settings.data)
        if finding.detail:
            problems.append(f"{spec.title}, {finding.state}: {finding.detail}")
    return {
        "convlab": __version__,
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: _version(name) for name in PACKAGES},
        "home": str(lab.settings.home),
        "data": str(lab.settings.data),
        "datasets": present,
        "store": state,
        "device": device,
        "free_bytes": free_bytes,
        "problems": [*problems, *unwritable],
    }


def _stored(lab: Lab) -> list[str]:
    """Return the problems of the database file, the stored runs and the saved drawings."""
    problems = [*lab.store.integrity.check_file(), *lab.store.integrity.check_names()]
    problems += [run.problem for run in lab.store.runs.list(limit=None, problems=True) if run.problem]
    return [*problems, *lab.store.sketches.problems()]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@click.command()
@json_flag
@click.pass_obj
def doctor(lab: Lab, as_json: bool) -> None:
    """Check the installation, the paths and the stored data.

    Exits with 1 if there is a problem.
    """
    if not lab.settings.read_only:
        lab.settings.make_home()
    found = examine(lab)
    if as_json:
        print_json(found)
    else:
        for name, value in found.items():
            if name == "problems":
                continue
            shown = "\n".join(f"  {k}: {v}" for k, v in value.items()) if isinstance(value, dict) else f"  {value}"
            echo(f"{name}\n{shown}")
        echo("\n".join(found["problems"]) or "No problems found.")
    sys.exit(1 if found["problems"] else 0)
