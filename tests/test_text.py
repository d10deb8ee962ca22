"""Text that could control a terminal or deceive a reader is refused when entered and escaped when already stored."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.config import RunConfig
from lab.errors import ArtifactError, ConfigError, InputError, LabError, StoreError, TextError, near_miss
from lab.runs.artifacts import ArtifactStore
from lab.runs.edits import checked_tags, checked_text
from lab.runs.query import parse_query
from lab.runs.store import RunStore
from lab.text import describe_character, escaped, hidden_character, hide_password, one_sentence, shortened
from tests.runs.runs_data import write_past_checks

HIDDEN = {
    "U+0000": "\0",
    "U+0007": "\a",
    "U+001B": "\x1b",
    "U+007F": "\x7f",
    "U+0085": "\x85",
    "U+009B": "\x9b",
    "U+009F": "\x9f",
    "U+00AD": "\xad",
    "U+061C": "\u061c",
    "U+200B": "\u200b",
    "U+200D": "\u200d",
    "U+200E": "\u200e",
    "U+2028": "\u2028",
    "U+2029": "\u2029",
    "U+202A": "\u202a",
    "U+202E": "\u202e",
    "U+2060": "\u2060",
    "U+2066": "\u2066",
    "U+2069": "\u2069",
    "U+FEFF": "\ufeff",
    "U+FFF9": "\ufff9",
    "U+D800": "\ud800",
    "U+DFFF": "\udfff",
    "U+E0001": "\U000e0001",
    "U+E0041": "\U000e0041",
    "U+3164": "\u3164",
    "U+034F": "\u034f",
    "U+17B4": "\u17b4",
    "U+180B": "\u180b",
    "U+2800": "\u2800",
    "U+FE00": "\ufe00",
    "U+FE0F": "\ufe0f",
    "U+1D159": "\U0001d159",
    "U+E0100": "\U000e0100",
}
SHOWN = (
    "Zoë's 3. Versuch, lr 0.05",
    "語 実験",
    "👩\u200d🔬 best",
    "می\u200cخواهم",
    "क्\u200dष",
    "e\u0301 é",
    "❤\ufe0f\u200d🔥 1\ufe0f\u20e3 ©\ufe0f",
)
FORMS = (
    "葛\U000e0100飾",
    "ᠠ\u180bᠨ",
    "∩\ufe00",
    "㊗\ufe0f",
)  # a variation selector after a character that has variants


@pytest.mark.parametrize("point", HIDDEN)
@pytest.mark.parametrize("what", ["name", "note", "tag", "label"])
def test_a_hidden_character_is_refused_and_named_by_its_code_point(point: str, what: str) -> None:
    for text in (f"run {HIDDEN[point]}5", HIDDEN[point] + "run", "run" + HIDDEN[point]):
        with pytest.raises(
            TextError, match=rf"^The {what} contains the .* {point.replace('+', '.')}\b.*: remove it\.$"
        ):
            checked_text(text, what, 100, lines=what == "note")


@pytest.mark.parametrize("text", SHOWN + FORMS)
def test_text_of_every_script_and_emoji_is_accepted_unchanged(text: str) -> None:
    assert checked_text(text, "name", 100) == text
    assert escaped(text) == text


@pytest.mark.parametrize(
    "text", ["a\ufe0f", "а\ufe0f", "1\ufe0f", "ω\ufe00", "x\U000e0100", "葛\u180b", "\u3164\ufe0f", "❤\ufe0f\ufe0f"]
)
def test_a_variation_selector_that_selects_nothing_is_a_hidden_character(text: str) -> None:
    assert hidden_character(text) is not None
    assert hidden_character(escaped(text)) is None


def test_the_error_names_the_hidden_character() -> None:
    with pytest.raises(TextError, match=r"the invisible character U\+202E \(RIGHT-TO-LEFT OVERRIDE\), which cannot"):
        checked_text("safe\u202egpj.exe", "name", 100)
    with pytest.raises(TextError, match=r"the control character U\+009B \(CONTROL SEQUENCE INTRODUCER\)"):
        checked_tags(["a\x9b31m"])
    assert describe_character("\ud800") == "lone surrogate U+D800"


def test_a_search_with_a_hidden_character_is_refused() -> None:
    with pytest.raises(InputError, match=r"^The search contains the invisible character U\+2066"):
        parse_query("name:a\u2066b")


def test_a_note_keeps_its_lines_and_tabs() -> None:
    assert checked_text("one\n\ttwo\r\n", "note", 100, lines=True) == "one\n\ttwo"


@given(st.text())
def test_escaped_text_contains_no_hidden_characters(text: str) -> None:
    shown = escaped(text)
    assert hidden_character(shown) is None
    shown.encode()  # no lone surrogate
    assert escaped(shown) == shown
    assert all(unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"} for c in shown)


@given(st.text(max_size=2_000), st.integers(3, 400))
def test_a_shortened_text_keeps_its_ends(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert len(short) <= limit
    assert short == text or (short.count("…") >= 1 and text.startswith(short[0]) and text.endswith(short[-1]))


@given(st.text(max_size=3_000), st.text(max_size=3_000))
def test_no_error_message_is_longer_than_300_characters(name: str, other: str) -> None:
    for error in (
        LabError(f"There is no {name!r} in {other}: try again."),
        ConfigError(f"epochs is {name}. {near_miss(name, [other, 'one', 'two'])}", field="epochs"),
        InputError(name + other),
    ):
        assert len(str(error)) <= 300
        assert hidden_character(str(error)) is None


def test_an_error_with_a_long_value_still_has_its_rule_and_its_remedy() -> None:
    sentence = str(LabError(f"The name is {'x' * 5_000!r}, but it must have at most 200 characters: shorten it."))
    assert sentence.startswith("The name is 'xxx")
    assert sentence.endswith("xxx', but it must have at most 200 characters: shorten it.")
    assert len(sentence) <= 300


def test_a_long_list_of_names_states_how_many_are_left_out() -> None:
    names = [f"network-{number:03d}" for number in range(500)]
    assert near_miss("?", names).endswith(" more.")
    assert len(near_miss("?", names)) < 200
    assert near_miss("?" * 10_000, ["a", "b"]) == "Choose one of: a, b."
    assert len(near_miss("?", ["n" * 1_000])) < 200


def test_a_long_message_of_short_words_is_cut_in_the_middle() -> None:
    sentence = one_sentence("first " + "word " * 200 + "last.")
    assert (len(sentence), sentence[:6], sentence[-5:]) == (300, "first ", "last.")


def test_text_stored_by_an_older_release_is_read_with_escapes(tmp_path: Path) -> None:
    store = RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}")
    run, _ = store.queue.submit(RunConfig(), fingerprint="f", family="f", name="run", tags=("a",))
    write_past_checks(
        store,
        run.id,
        checksum=False,
        name="a\x9b31m\u202e",
        note="one\n\x1b[2J",
        tags="\nb\u2066\n",
        reason="\x07",
        device="cpu\x85",
        notices=["\u2028"],
        environment={"name": "\x9b"},
    )
    (found,) = store.runs.list()
    assert (found.name, found.note) == (r"a\x9b31m\u202e", "one\n" + r"\x1b[2J")
    assert (found.tags, found.reason, found.device) == ((r"b\u2066",), r"\x07", "")  # "cpu\x85" is not a device
    assert (found.notices, found.environment.as_dict()) == ((r"\u2028",), {"name": r"\x9b"})
    assert store.runs.get(found.id) == found
    store.close()


def test_excess_combining_marks_on_a_letter_are_refused_when_entered_and_escaped_when_stored() -> None:
    usual = "e" + 8 * "\u0301" + "x"
    assert hidden_character(usual) is None
    piled = "e" + 200 * "\u0301"
    assert hidden_character(piled) == "\u0301"
    assert escaped(piled) == "e" + 8 * "\u0301" + 192 * "\\u0301"
    with pytest.raises(TextError, match=r"excess combining mark U\+0301 \(COMBINING ACUTE ACCENT\)"):
        checked_text(piled, "name", 500)
    assert describe_character("\u034f") == "invisible character U+034F (COMBINING GRAPHEME JOINER)"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:secret@db.example:5432/lab", "postgresql+psycopg://me:***@db.example:5432/lab"),
        ("postgresql+psycopg://me:se/cr@et@db.example/lab", "postgresql+psycopg://me:***@db.example/lab"),
        (
            "postgresql+psycopg://me@db.example/lab?password=secret&sslmode=require",
            "postgresql+psycopg://me@db.example/lab?password=***&sslmode=require",
        ),
        ("s3://key:se+cr/et@bucket/lab?secret=secret", "s3://key:***@bucket/lab?secret=***"),
        ("sqlite:////srv/a@b/lab.db", "sqlite:////srv/a@b/lab.db"),
        ("/srv/a@b/files", "/srv/a@b/files"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
    ],
)
def test_an_address_is_shown_without_its_passwords(url: str, shown: str) -> None:
    assert hide_password(url) == shown


def test_an_address_that_cannot_be_opened_is_quoted_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"^LAB_DATABASE is 'postgre://me:\*\*\*@host/lab', which is not a database URL"
    ) as found:
        RunStore.open("postgre://me:se/cret@host/lab")
    assert "se/cret" not in str(found.value)
    with pytest.raises(
        ArtifactError, match=r"^LAB_ARTIFACTS is 'nothing://me:\*\*\*@host/lab', which cannot be opened"
    ):
        ArtifactStore("nothing://me:se/cret@host/lab")
