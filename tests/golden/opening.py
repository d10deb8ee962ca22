"""Opens the golden files of a release as a user's lab; each test gets its own copy."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parent
RELEASES = tuple(sorted(path.name for path in GOLDEN.iterdir() if (path / "expected.json").is_file()))
# What a link of an earlier release shows, where the view has another title now.
RETITLED = {
    "Parallel axes": "Parallel coordinates",
    "From run to run": "Lineage",
    "Why this answer": "Attribution",
    "Right and wrong": "Evaluation",
    "Map of images": "Embedding",
}


def list_links(release: str) -> list[tuple[str, str]]:
    """Return the address of each of a release's links, and a text that its view shows today."""
    return [(link["address"], RETITLED.get(link["shows"], link["shows"])) for link in read(release, "links.json")]


def read(release: str, name: str) -> Any:
    """Return the content of one of a release's JSON files."""
    return json.loads((GOLDEN / release / name).read_text(encoding="utf-8"))


def read_sections(path: Path, *, head: str) -> dict[str, list[str]]:
    """Return the lines of a text file by their heading. Headings are the lines that start with `head`."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(head):
            lines = found.setdefault(line.removeprefix(head), [])
        else:
            lines.append(line)
    return found


def unpack_home(release: str, home: Path) -> Path:
    """Unpack the release's store and artifacts into `home` and return it."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "lab.db").write_bytes(gzip.decompress((GOLDEN / release / "lab.db.gz").read_bytes()))
    shutil.copytree(GOLDEN / release / "artifacts", home / "artifacts")
    return home
