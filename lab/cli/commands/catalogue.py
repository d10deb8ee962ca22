"""`architectures` and `presets`: list the networks and the presets."""

from typing import Any

import click

from lab.architectures.registry import list_architectures
from lab.cli.output import json_flag, print_json, print_table
from lab.formatting import format_percent
from lab.presets import list_presets


@click.command()
@json_flag
def architectures(as_json: bool) -> None:
    """List the networks and their options."""
    entries: list[dict[str, Any]] = [
        {
            "id": arch.id,
            "title": arch.title,
            "description": arch.description,
            "source": arch.source,
            "report": arch.report,
            "input_size": arch.default_input_size,
            "options": [{"name": o.name, "default": o.default, "rule": o.rule(), "help": o.help} for o in arch.options],
        }
        for arch in list_architectures()
    ]
    if as_json:
        print_json({"architectures": entries})
        return
    print_table(
        ("network", "input", "options", "what it is"),
        [
            (e["id"], e["input_size"], " ".join(f"{o['name']}={o['default']}" for o in e["options"]), e["description"])
            for e in entries
        ],
    )


@click.command()
@json_flag
def presets(as_json: bool) -> None:
    """List the presets: the reports' experiments and the lab's own."""
    entries: list[dict[str, Any]] = [
        {
            "id": p.id,
            "report": p.report,
            "title": p.title,
            "changes": dict(p.changes),
            "reported": p.reported.as_dict(),
            "mistake": p.mistake,
            "ours": p.ours,
        }
        for p in list_presets()
    ]
    if as_json:
        print_json({"presets": entries})
        return
    print_table(
        ("preset", "report", "reported", "what it is"),
        [(e["id"], e["report"], format_percent(e["reported"].get("test_accuracy")), e["title"]) for e in entries],
        right=("reported",),
    )
