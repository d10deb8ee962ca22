"""Hidden characters that an older release stored are exported as escapes in every format, and refused on import."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import InputError
from lab.runs.encoding import encode_tags
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sharing.bundle.read import import_bundle
from lab.sharing.bundle.write import write_bundle
from lab.sharing.formats import FORMATS, export_runs
from lab.text import hidden_character
from tests.runs.runs_data import write_past_checks
from tests.sharing.hostile_bundles import RUN, pack, sealed, unpack
from tests.sharing.sharing_runs import open_lab

ATTACK = "a\x9b31m\u202eb\u2028c\U000e0041"
TEXTS = ("csv", "json", "markdown", "latex", "markdown-settings", "latex-settings", "html", "code")


@pytest.fixture
def attacked(lab: Lab, run: RunRecord) -> Iterator[RunRecord]:
    """A stored run with hidden characters in its texts, which only another program could have written."""
    tags = f"\n{'t' * 50}{ATTACK}\n"
    write_past_checks(lab.store, run.id, name=ATTACK * 10, note=f"{ATTACK}\n{ATTACK}", tags=tags, notices=[ATTACK])
    yield lab.store.runs.get(run.id)
    write_past_checks(
        lab.store, run.id, name=run.name, note=run.note, tags=encode_tags(run.tags), notices=list(run.notices)
    )


@pytest.mark.parametrize("format", TEXTS)
def test_no_export_holds_hidden_characters(lab: Lab, attacked: RunRecord, format: str) -> None:
    (text, *_) = [data.decode("utf-8-sig") for data in export_runs(lab, [attacked], format=format).values()]
    found = hidden_character(text.split("<script>", 1)[0].replace("\r\n", "\n"), lines=True)
    assert found is None, f"U+{ord(found):04X}"
    assert format in FORMATS


def test_a_bundle_holds_hidden_characters_as_escapes_and_can_be_imported(
    lab: Lab, attacked: RunRecord, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(write_bundle(lab, [attacked]))
    other = open_lab(tmp_path / "other")
    with path.open("rb") as stream:
        (found,) = import_bundle(other, stream)
    assert found.name.startswith(r"a\x9b31m\u202eb\u2028c\U000e0041")
    assert hidden_character(found.name + found.note.replace("\n", "") + "".join(found.tags + found.notices)) is None
    other.store.close()


@pytest.mark.parametrize("field", ["name", "note", "tags", "notices", "reason"])
@pytest.mark.parametrize("character", ["\x85", "\x9b", "\u202e", "\u2066", "\u200b", "\u2028", "\U000e0041"])
def test_a_bundle_with_a_hidden_character_is_refused_with_its_code_point(
    lab: Lab, run: RunRecord, tmp_path: Path, field: str, character: str
) -> None:
    files = unpack(write_bundle(lab, [run]))
    record = json.loads(files[RUN])
    record[field] = [f"a{character}b"] if field in ("tags", "notices") else f"a{character}b"
    files[RUN] = json.dumps(record).encode()
    path = tmp_path / "bundle.zip"
    path.write_bytes(pack(sealed(files)))
    with path.open("rb") as stream, pytest.raises(InputError, match=rf"U\+{ord(character):04X}\b"):
        import_bundle(lab, stream)
