"""The keys in the `--json` output of every command, recorded at a release. Scripts rely on them, so all must remain.

`python -m tests.golden.cli_keys VERSION` records them over that release's golden store.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.cli.app import main as run_command
from tests.golden.opening import GOLDEN, read, unpack_home


def commands(ids: dict[str, str], folder: Path) -> dict[str, list[str]]:
    """Return, by name, the arguments of the commands whose output is compared; they run in this order on one store."""
    run, other = ids["finished"], ids["one_cycle"]
    drawing = folder / "drawing.png"
    _write_drawing(drawing)
    sweep = ids.get("sweep_halfway", "")
    return {
        **({"sweep list": ["sweep", "list"], "sweep show": ["sweep", "show", sweep]} if sweep else {}),
        "queue": ["queue"],
        "machines": ["machines"],
        "compare --verdict": ["compare", "--a", run, "--b", other, "--verdict"],
        "runs": ["runs"],
        "show": ["show", run],
        "show paused": ["show", ids["paused"]],
        "show queued": ["show", ids["queued"]],
        "show --metrics": ["show", run, "--metrics"],
        "summary": ["summary", "lenet5"],
        "architectures": ["architectures"],
        "datasets": ["datasets"],
        "presets": ["presets"],
        "doctor": ["doctor"],
        "compare": ["compare", run, other],
        "report-table": ["report-table", "C"],
        "evaluate": ["evaluate", run],
        "evaluate --all-epochs": ["evaluate", run, "--all-epochs"],
        "verify": ["verify", run],
        "predict": ["predict", run, str(drawing)],
        "predict --sketch": ["predict", run, str(drawing), "--sketch"],
        "inspect": ["inspect", run, "--layer", "features.conv1", "--out", str(folder / "maps.png")],
        "export csv": ["export", run, "--format", "csv", "--out", str(folder / "x.csv")],
        "export bundle": ["export", run, "--format", "bundle", "--out", str(folder / "x.zip")],
        "import": ["import", str(folder / "x.zip")],
        "tag": ["tag", run, "more"],
        "delete": ["delete", other],
        "delete --undo": ["delete", other, "--undo"],
        "pause": ["pause", ids["queued"]],
        "stop": ["stop", ids["queued"]],
        "unknown run": ["show", "no-such-run"],
    }


def _write_drawing(path: Path) -> None:
    from PIL import Image, ImageDraw

    picture = Image.new("L", (28, 28))
    ImageDraw.Draw(picture).line([(14, 4), (13, 24)], fill=255, width=3)
    picture.save(path)


def json_output(arguments: list[str]) -> Any:
    """Run one command in this process and return its JSON output."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        run_command([*arguments, "--json"])
    return json.loads(out.getvalue())


def key_paths(value: Any, before: str = "") -> Iterator[str]:
    """Yield the path of every key in a JSON value, such as "runs[].config.lr"."""
    if isinstance(value, list):
        for item in value:
            yield from key_paths(item, f"{before}[]")
    elif isinstance(value, dict):
        for key, item in value.items():
            path = f"{before}.{key}".lstrip(".")
            yield path
            yield from key_paths(item, path)


def list_keys(release: str, folder: Path) -> dict[str, list[str]]:
    """Return the key paths in every command's output over a new copy of the golden store."""
    home = unpack_home(release, folder / "home")
    os.environ |= {"LAB_HOME": str(home), "LAB_DEVICE": "cpu"}
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        os.environ.pop(name, None)
    every = commands(read(release, "expected.json")["ids"], folder)
    return {name: sorted(set(key_paths(json_output(arguments)))) for name, arguments in every.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        found = list_keys(sys.argv[1], Path(temporary))
    (GOLDEN / sys.argv[1] / "cli_keys.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
