"""The faults, read from `faults/*.toml`, and their places in the code, which are found by text and not by file name."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "faults"
CODE = ("lab", "pages")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `old`, which is in the code exactly once, becomes `new`; `says` describes the wrong behaviour.

    package: the list it is in, which selects the tests to run. round: 1 for faults written before any test was added
    for them, 2 for those written afterwards to measure what tests find that were not written for them.
    """

    id: str
    package: str
    old: str
    new: str
    says: str
    round: int = 1


def read_faults(path: Path | None = None) -> tuple[Fault, ...]:
    """Return all faults, or those of one file. Raises `ValueError` for duplicate ids and faults that change nothing."""
    found = [
        Fault(**{"package": path.stem, **entry, "old": entry["old"].strip("\n"), "new": entry["new"].strip("\n")})
        for path in ([path] if path else sorted(_FOLDER.glob("*.toml")))
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
    ]
    ids = [fault.id for fault in found]
    wrong = [one.id for one in found if one.old == one.new or ids.count(one.id) > 1]
    if wrong:
        raise ValueError(f"Faults that change nothing or share an id: {', '.join(wrong)}.")
    return tuple(found)


def find_place(root: Path, fault: Fault) -> Path | None:
    """Return the file that contains the fault's snippet, or None if it is not in the code exactly once."""
    texts = [(path, path.read_text(encoding="utf-8")) for folder in CODE for path in (root / folder).rglob("*.py")]
    holders = [(path, text.count(fault.old)) for path, text in texts if fault.old in text]
    return holders[0][0] if len(holders) == 1 and holders[0][1] == 1 else None


def insert_fault(path: Path, fault: Fault) -> str:
    """Write the fault into its file and return the original text of the file."""
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(fault.old, fault.new), encoding="utf-8")
    return before
