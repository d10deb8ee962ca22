"""Limits of a bundle's contents: both ends of every range are allowed, and values outside are refused with the rule."""

import io
import json
import stat
import struct
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.errors import InputError
from lab.sharing.bundle.archive import Archive, _check_count, _check_entry
from lab.sharing.bundle.curves import _check_column, check_curves
from lab.sharing.bundle.layout import MAX_BYTES, MAX_ENTRIES, MAX_HEADER
from lab.sharing.bundle.record import _facts, _text, clean, clean_tags
from lab.sharing.bundle.strict_reading import Fields, items, maybe, moment, read_json, refuse, seconds, whole
from lab.sharing.bundle.tensors import check_weights, header_bytes, read_header
from lab.sharing.bundle.write import _known


@pytest.mark.parametrize("value", [3, 5])
def test_both_ends_of_a_range_are_allowed(value: int) -> None:
    assert whole(3, 5)(value) == value


@pytest.mark.parametrize("value", [2, 6, 4.0, True, "4", None])
def test_anything_but_a_whole_number_in_the_range_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^is not a whole number from 3 to 5$"):
        whole(3, 5)(value)


def test_a_list_has_a_maximum_length_and_each_of_its_items_is_checked() -> None:
    assert items(whole(0, 9), most=2)([4, 9]) == (4, 9)
    assert items(whole(0, 9), most=2)([]) == ()
    for wrong, message in (([1, 2, 3], "at most 2"), ((1, 2), "at most 2"), ([10], "from 0 to 9")):
        with pytest.raises(ValueError, match=message):
            items(whole(0, 9), most=2)(wrong)


def test_null_passes_only_an_optional_check_and_times_must_be_finite_and_not_negative() -> None:
    assert (maybe(whole(0, 9))(None), maybe(whole(0, 9))(3)) == (None, 3)
    with pytest.raises(ValueError, match="whole number"):
        maybe(whole(0, 9))("x")
    assert (seconds(0), seconds(1.5), moment(0.0)) == (0.0, 1.5, 0.0)
    for wrong in (-1.0, float("nan"), float("inf"), "1", True):
        with pytest.raises(ValueError, match="but it"):
            seconds(wrong)


def test_each_field_is_read_once_and_an_unknown_field_is_named() -> None:
    fields = Fields({"a": 1, "b": 2}, "here")
    assert fields.take("a", whole(0, 9)) == 1
    with pytest.raises(InputError, match="here lacks 'a'"):
        fields.take("a", whole(0, 9))
    with pytest.raises(InputError, match="here has the unknown field 'b'"):
        fields.done()
    with pytest.raises(InputError, match="'b' in here is not a whole number"):
        fields.take("b", whole(3, 9))
    fields.done()
    with pytest.raises(InputError, match="here is not an object"):
        Fields([1], "here")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"a": NaN}',
        '{"a": {"$float": "one"}}',
        '{"a": {"$float": 1}}',
        "[]",
        "1",
        "{",
        '{"a": "\\ud800"}',
    ],
)
def test_json_that_is_not_strict_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"x\.json is not"):
        read_json(text.encode(), "x.json")


def test_marked_numbers_are_restored_and_other_objects_are_left_alone() -> None:
    found = read_json(b'{"a": {"$float": "inf"}, "b": {"$float": "-inf"}, "c": {"$float": "inf", "d": 1}}', "x.json")
    assert found == {"a": float("inf"), "b": float("-inf"), "c": {"$float": "inf", "d": 1}}
    assert read_json(b'{"a": {"$float": "nan"}}', "x.json")["a"] != read_json(b'{"a": {"$float": "nan"}}', "x")["a"]


def test_a_long_detail_is_truncated_in_the_error_message() -> None:
    for length, cut in ((180, False), (181, True)):
        with pytest.raises(InputError) as refused:
            refuse("x" * length)
        assert ("…" in str(refused.value)) is cut
        assert str(refused.value).count("x") >= 180


# -- entries -----------------------------------------------------------------------------------------------------------


def _zip_entry(**changes: Any) -> zipfile.ZipInfo:
    """Return an entry as in a bundle, with 1,000 bytes compressed to 10, except for `changes`."""
    entry = zipfile.ZipInfo("runs/0/run.json")
    plain = {"external_attr": stat.S_IFREG << 16, "compress_type": zipfile.ZIP_DEFLATED}
    for name, value in {**plain, "file_size": 1_000, "compress_size": 10, **changes}.items():
        setattr(entry, name, value)
    return entry


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"external_attr": 0}, ""),
        ({"compress_type": zipfile.ZIP_STORED}, ""),
        ({"flag_bits": 0x806}, ""),
        ({"file_size": MAX_BYTES, "compress_size": MAX_BYTES}, ""),
        ({"file_size": 0, "compress_size": 0}, ""),
        ({"file_size": 100, "compress_size": 0}, ""),
        ({"orig_filename": "runs/0/run.json\0.exe"}, "is not a valid file name in a bundle"),
        (
            {"filename": "runs/0/other.json", "orig_filename": "runs/0/other.json"},
            "is not a valid file name in a bundle",
        ),
        ({"external_attr": stat.S_IFLNK << 16}, "is not a regular file"),
        ({"external_attr": (stat.S_IFREG << 16) | 0x10}, "is not a regular file"),
        ({"compress_type": zipfile.ZIP_BZIP2}, "uses unsupported compression or flags"),
        ({"flag_bits": 0x1}, "uses unsupported compression or flags"),
        ({"file_size": 1_001}, "grows from 10 to 1,001 bytes"),
        ({"file_size": 101, "compress_size": 0}, "grows from 0 to 101 bytes"),
        ({"file_size": MAX_BYTES + 1, "compress_size": MAX_BYTES + 1}, "grows from 1,073,741,825 to 1,073,741,825"),
    ],
)
def test_an_entry_must_be_a_regular_file_with_a_compression_ratio_up_to_100(
    changes: dict[str, Any], message: str
) -> None:
    if not message:
        _check_entry(_zip_entry(**changes))
        return
    with pytest.raises(InputError, match=message):
        _check_entry(_zip_entry(**changes))


# -- curves ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "parts", "message"),
    [
        ("step", [[0, 1], [2, 10**12 - 1]], ""),
        ("step", [[0, 10**12]], "the steps of val/loss in c do not increase"),
        ("step", [[-1, 0]], "the steps of val/loss in c do not increase"),
        ("step", [[1, 1]], "the steps of val/loss in c do not increase"),
        ("step", [[1, 5], [5, 6]], "the steps of val/loss in c do not increase"),
        ("time_s", [[0.0], [1e10]], ""),
        ("time_s", [[0.0], [-1.0]], "val/loss in c has times that are not from 0 to"),
        ("value", [[float("nan"), -1e300]], ""),
    ],
)
def test_steps_must_increase_across_parts_and_steps_and_times_must_be_in_range(
    column: str, parts: list[list[float]], message: str
) -> None:
    arrays = (np.array(part, dtype=np.int64 if column == "step" else np.float64) for part in parts)
    with nullcontext() if not message else pytest.raises(InputError, match=message):
        _check_column(arrays, "val/loss", column, "c")


def test_a_file_of_curves_has_at_most_256_mebibytes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as empty:
        archive = Archive(empty, {"c": _zip_entry(file_size=256 * 2**20 + 1)})
        with pytest.raises(InputError, match="c has 268,435,457 bytes, more than 268,435,456"):
            check_curves(archive, "c", "0" * 64, most=1)


def test_a_time_that_is_not_finite_is_exported_as_zero() -> None:
    assert [_known(value) for value in (1.5, float("nan"), float("inf"))] == [1.5, 0.0, 0.0]


# -- tensors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "size", "fits"),
    [
        (2, 10, True),
        (1, 10, False),
        (3, 10, False),
        (100, 108, True),
        (MAX_HEADER, MAX_HEADER + 8, True),
        (MAX_HEADER + 1, 2**40, False),
    ],
)
def test_a_header_must_fit_into_its_file_and_the_size_limit(length: int, size: int, fits: bool) -> None:
    start = length.to_bytes(8, "little")
    if fits:
        assert header_bytes(start + b"rest", "w", size=size) == length
    else:
        with pytest.raises(InputError, match="w is not a safetensors file"):
            header_bytes(start, "w", size=size)
    with pytest.raises(InputError, match="w is not a safetensors file"):
        header_bytes(start[:7], "w", size=size)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("F64", 8),
        ("F32", 4),
        ("F16", 2),
        ("BF16", 2),
        ("I64", 8),
        ("I32", 4),
        ("I16", 2),
        ("I8", 1),
        ("U8", 1),
        ("BOOL", 1),
    ],
)
def test_a_tensor_must_have_as_many_bytes_as_its_type_and_shape_require(dtype: str, size: int) -> None:
    def header(end: int) -> bytes:
        return json.dumps({"t": {"dtype": dtype, "shape": [3, 2], "data_offsets": [0, end]}}).encode()

    assert read_header(header(6 * size), "w", body=6 * size)[0] == {"t": (dtype, (3, 2), 0)}
    for wrong in (6 * size - 1, 6 * size + 1):
        with pytest.raises(InputError, match="does not have the length that its shape requires"):
            read_header(header(wrong), "w", body=wrong)


def _weights(**changes: Any) -> bytes:
    metadata = {"format": 1, "kind": "weights", "arch": "lenet5", "step": 20, "epoch": 2, **changes}
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return json.dumps({"__metadata__": {"convlab": json.dumps(metadata)}, "t": tensor}).encode()


def _check(header: bytes, expected: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    check_weights(header, "w", body=8, expected=expected, arch="lenet5", step=20, epoch=2)


def test_weights_must_match_their_network_step_and_epoch() -> None:
    right = {"t": ("F32", (2,))}
    _check(_weights(), right)
    for changes in ({"step": 21}, {"epoch": 3}, {"arch": "alexnet"}, {"kind": "checkpoint"}, {"format": 2}):
        with pytest.raises(InputError, match="w states that it is"):
            _check(_weights(**changes), right)
    for other in ({"t": ("F16", (2,))}, {"t": ("F32", (3,))}, {"u": ("F32", (2,))}, {}, {**right, "u": ("F32", (1,))}):
        with pytest.raises(InputError, match="is not a tensor of lenet5 with these options"):
            _check(_weights(), other)


def test_every_fact_must_have_a_valid_name() -> None:
    def check(name: str, value: Any) -> Any:
        return (name, value)

    assert _facts(check)({"a": 1, "B_2": 2}) == {"a": ("a", 1), "B_2": ("B_2", 2)}
    for wrong in ("2a", "", "a b", "a-b", "_a", "x" * 61):
        with pytest.raises(ValueError, match=r"^has an invalid name$"):
            _facts(check)({"a": 1, wrong: 2})
    assert len(_facts(check)({f"a{n}": n for n in range(100)})) == 100
    for many in ({f"a{n}": n for n in range(101)}, [1]):
        with pytest.raises(ValueError, match="is not an object of at most 100 facts"):
            _facts(check)(many)


def test_text_of_a_bundle_has_a_maximum_length_and_no_control_characters() -> None:
    assert _text(3)("abc") == "abc"
    for wrong in ("abcd", " ab", "ab ", "a\tb", "a\nb", 3, "\ud800"):
        with pytest.raises(ValueError, match=r"cannot be stored|is not text|trailing spaces"):
            _text(3)(wrong)
    assert _text(3, lines=True)("a\nb") == "a\nb"
    assert (clean("  abc ", 2), clean("a b", 2), clean("a\x00", 9)) == ("ab", "a", "a\\x00")
    assert clean_tags(["b", " a", "b "]) == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"here": MAX_ENTRIES, "everywhere": MAX_ENTRIES}, True),
        ({"here": MAX_ENTRIES + 1, "everywhere": MAX_ENTRIES + 1}, False),
        ({"here": 1, "everywhere": 2}, False),
        ({"start": 11}, False),
        ({"size": 31}, False),
        ({"comment": 1}, False),
        ({"disk": 1}, True),  # zipfile itself checks it
    ],
    ids=str,
)
def test_the_end_record_of_a_bundle_must_match_the_directory_before_it(changes: dict[str, int], fits: bool) -> None:
    """The end of central directory record (APPNOTE 4.3.16) has 22 bytes.

    Its fields are the disk numbers, the entries on this disk and in all, and the directory's size and start.
    """
    fields = {"disk": 0, "here": 2, "everywhere": 2, "size": 30, "start": 10, "comment": 0} | changes
    end = struct.pack(
        "<4s4H2IH",
        b"PK\5\6",
        fields["disk"],
        0,
        *(fields[k] for k in ("here", "everywhere", "size", "start", "comment")),
    )
    stream = io.BytesIO(bytes(10 + 30) + end)
    if fits:
        _check_count(stream, 62)
        return
    with pytest.raises(InputError, match=r"directory is invalid|follows its directory"):
        _check_count(stream, 62)
