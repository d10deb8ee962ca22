"""`datasets`: list the data sets and the state of their files; download and import them."""

from pathlib import Path
from typing import Any

import click

from lab.cli.output import echo, json_flag, print_json, print_table
from lab.data.fetch import fetch_dataset
from lab.data.imports import import_file
from lab.data.inventory import DataState, inspect_dataset, list_other_files
from lab.data.registry import list_datasets
from lab.data.spec import DatasetSpec
from lab.service.lab import Lab
from lab.settings import user_path


@click.command()
@click.option("--fetch", metavar="ID", help="Download a data set before listing them.")
@click.option(
    "--import",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Import a CSV table of labels and pixels (Kaggle's train.csv) or a NumPy archive (Keras' mnist.npz).",
)
@json_flag
@click.pass_obj
def datasets(lab: Lab, fetch: str | None, path: Path | None, as_json: bool) -> None:
    """List, download (--fetch) or import (--import) data sets.

    The list shows whether the files of each data set are present and complete.
    """
    if path is not None:
        _import(lab, path, as_json=as_json)
        return
    root = lab.settings.data
    if fetch is not None:
        lab.settings.require_writable()
        fetch_dataset(fetch, root=root)
    entries = [_entry(lab, spec) for spec in list_datasets()]
    others = list_other_files(root)
    if as_json:
        files = [{"path": str(other.path), "detail": other.words} for other in others]
        print_json({"datasets": entries, "other_files": files, "root": str(root)})
        return
    print_table(
        ("data set", "state", "classes", "what it is"),
        [(e["id"], e["state"], len(e["classes"]), e["description"]) for e in entries],
        right=("classes",),
    )
    for entry in entries:
        if entry["detail"]:
            echo(f"{entry['id']}, {entry['state']}: {entry['detail']}")
    for other in others:
        echo(f"{other.path} {other.words}")


def _entry(lab: Lab, spec: DatasetSpec) -> dict[str, Any]:
    found = inspect_dataset(spec, root=lab.settings.data)
    return {
        "id": spec.id,
        "title": spec.title,
        "description": spec.description,
        "classes": list(spec.classes),
        "here": found.state is DataState.PRESENT,
        "state": found.state.value,
        "detail": found.detail,
    }


def _import(lab: Lab, path: Path, *, as_json: bool) -> None:
    lab.settings.require_writable()
    made = import_file(user_path(path), root=lab.settings.data)
    if as_json:
        print_json(
            {"id": made.id, "train_images": made.train_images, "test_images": made.test_images, "remarks": made.remarks}
        )
        return
    echo(
        f"{path} was imported as the data set {made.id}: {made.train_images:,} training and {made.test_images:,} test "
        "images."
    )
    for remark in made.remarks:
        echo(remark)
    echo(f"Train on it with `python -m lab train --dataset {made.id}`.")
