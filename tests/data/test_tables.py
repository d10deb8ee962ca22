"""Tables of labels and pixels: which column is the label, which is an index, and which separator is used."""

from pathlib import Path

import numpy as np
import pytest

from lab.data.recognise import is_number, recognise_bytes, separator_of
from lab.data.tables import read_table
from lab.errors import InputError

FIRST = [[3, 10, 20, 30, 40], [7, 50, 60, 70, 80]]  # a label, and pictures of two by two pixels
PICTURES = [[[10, 20], [30, 40]], [[50, 60], [70, 80]]]
HEADER = ["label", "a", "b", "c", "d"]


def _read(tmp_path: Path, *rows: list[object], separator: str = ",") -> tuple[list[object], list[float]]:
    path = tmp_path / "table.csv"
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))
    pictures, labels = read_table(path)
    return pictures.tolist(), labels.tolist()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["label", "Class", "target", " digit ", "y"])
def test_a_column_with_a_label_name_is_the_label_wherever_it_is(tmp_path: Path, name: str, separator: str) -> None:
    assert _read(tmp_path, [name, *"abcd"], *FIRST, separator=separator) == (PICTURES, [3, 7])
    last = [[*row[1:], row[0]] for row in FIRST]
    assert _read(tmp_path, [*"abcd", name], *last, separator=separator) == (PICTURES, [3, 7])
    middle = [[*row[1:3], row[0], *row[3:]] for row in FIRST]
    assert _read(tmp_path, ["a", "b", name, "c", "d"], *middle, separator=separator) == (PICTURES, [3, 7])


def test_the_first_of_two_columns_with_label_names_is_the_label(tmp_path: Path) -> None:
    assert _read(tmp_path, ["label", "a", "b", "c", "y"], *FIRST) == (PICTURES, [3, 7])


@pytest.mark.parametrize("index", ["", "id", "Index", "Unnamed: 0"])
def test_an_index_column_is_left_out(tmp_path: Path, index: str) -> None:
    counted = [[number, *row] for number, row in enumerate(FIRST)]
    assert _read(tmp_path, [index, *HEADER], *counted) == (PICTURES, [3, 7])
    assert _read(
        tmp_path, [index, "a", "b", "c", "d", "y"], *([n, *row[1:], row[0]] for n, row in enumerate(FIRST))
    ) == (
        PICTURES,
        [3, 7],
    )


def test_a_first_column_that_is_needed_for_the_square_is_not_an_index(tmp_path: Path) -> None:
    assert _read(tmp_path, ["id", "a", "b", "c", "d"], *FIRST) == (PICTURES, [3, 7])


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([[3, 10, 20, 30, 40], [7, 50, 60, 70, 80]], [3, 7]),  # 40 and 80 are not labels
        ([[11, 10, 20, 30, 4], [7, 50, 60, 70, 8]], [4, 8]),  # 11 is not a label
        ([[10, 10, 20, 30, 4], [7, 50, 60, 70, 8]], [10, 7]),  # both may be labels: the first is used
        ([[0, 10, 20, 30, 4], [0, 50, 60, 70, 8]], [4, 8]),  # the first is constant, as a black margin is
        ([[0, 10, 20, 30, 4], [0, 50, 60, 70, 4]], [0, 0]),  # both are constant
        ([[0.5, 10, 20, 30, 4], [7, 50, 60, 70, 8]], [4, 8]),
        ([[12, 10, 20, 30, 4], [13, 50, 60, 70, 4]], [12, 13]),
    ],
)
def test_without_a_header_the_label_is_first_unless_only_the_last_column_can_be(
    tmp_path: Path, rows: list[list[object]], labels: list[float]
) -> None:
    assert _read(tmp_path, *rows)[1] == labels


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([HEADER], "has no rows"),
        ([[*HEADER, "e"], [1, 2, 3, 4, 5, 6]], "has 6 columns"),
        ([["a", "b"], [1, "x"]], "cannot be read as a table of numbers"),
        ([HEADER, [1, 2, 3, 4, "9" * 400]], "cannot be read as a table of numbers"),
        ([[1, 2, 3, 4], [1, 2, 3, 4]], "has 4 columns"),
    ],
)
def test_files_that_are_not_such_tables_are_refused(tmp_path: Path, rows: list[list[object]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        _read(tmp_path, *rows)


def test_the_most_frequent_separator_is_used_and_the_semicolon_in_a_tie() -> None:
    lines = ("1;2,5;3", "1;2,5;3,5", "1,2;3,4", "1\t2", "", "1,2,3;4")
    assert [separator_of(line) for line in lines] == [";", ";", ",", "\t", ",", ","]
    numbers = ("5", " 0.25 ", "0,25", "5.000000000000000000e+00", "nan", "-1", "", "5a", "0x10")
    assert [is_number(cell) for cell in numbers] == [True, True, True, True, True, True, False, False, False]


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_numbers_may_have_a_decimal_comma_if_the_separator_is_another(
    tmp_path: Path, separator: str, header: bool
) -> None:
    rows = [[3, "0,0", "0,25", "0,5", "1"], [7, "1,0", "0", "0,125", "1,0"]]
    pictures, labels = _read(tmp_path, *([HEADER] if header else []), *rows, separator=separator)
    assert (pictures, labels) == ([[[0, 0.25], [0.5, 1]], [[1, 0], [0.125, 1]]], [3, 7])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_endings_and_leading_empty_lines_are_accepted(tmp_path: Path, end: str) -> None:
    path = tmp_path / "table.csv"
    lines = ["", " ", ",".join(["label", *["p"] * 64]), *(",".join(map(str, [n, *range(64)])) for n in (3, 7))]
    path.write_bytes(end.join([*lines, ""]).encode())
    assert recognise_bytes(path.read_bytes()).words == "a table of a label and 64 pixels per row (8×8)"
    pictures, labels = read_table(path)
    assert (pictures.reshape(2, -1).tolist(), labels.tolist()) == ([list(range(64))] * 2, [3, 7])


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "mac-roman"])
def test_tables_that_spreadsheets_export_are_read_in_their_encodings(tmp_path: Path, encoding: str, mark: str) -> None:
    """The names of two columns are not ASCII; one has a byte that some encodings take for the end of a line."""
    path = tmp_path / "table.csv"
    rows = [["label", "größe", "Ö", *["p"] * 62], *([n, *range(64)] for n in (3, 7))]
    path.write_text("\n".join(mark.join(map(str, row)) for row in rows), encoding=encoding)
    assert recognise_bytes(path.read_bytes()).words == "a table of a label and 64 pixels per row (8×8)"
    pictures, labels = read_table(path)
    assert (pictures.reshape(2, -1).tolist(), labels.tolist()) == ([list(range(64))] * 2, [3, 7])


def test_a_cell_that_is_no_number_is_refused_in_an_eight_bit_encoding_too(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("label,a,b,c,d\n3,1,2,3,é\n".encode("latin-1"))
    with pytest.raises(InputError, match="cannot be read as a table of numbers"):
        read_table(path)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["1"] * 65, "a table of a label and 64 pixels per row (8×8), without a header"),
        (["1"] * 64, "a table of no label and 64 pixels per row (8×8), without a header"),
        (["1"] * 257, "a table of a label and 256 pixels per row (16×16), without a header"),
        (["1"] * 50, "a table of 50 columns"),  # seven by seven are too few
        (["label", *["p"] * 81], "a table of a label and 81 pixels per row (9×9)"),
        (["p"] * 81, "a table of no label and 81 pixels per row (9×9)"),
        (["id", *["p"] * 65], "a table of a label and 64 pixels per row (8×8)"),
        (['"Label"', *["p"] * 64], "a table of a label and 64 pixels per row (8×8)"),
        (["label", *["p"] * 82], "a table of 83 columns"),
    ],
)
def test_a_table_is_described_by_its_first_line(columns: list[str], words: str) -> None:
    assert recognise_bytes((",".join(columns) + "\n1,2\n").encode()).words == words


@pytest.mark.parametrize(
    ("start", "kind", "words"),
    [
        (b"\0\0\x08\x03\0\0\0\x02\0\0\0\x05\0\0\0\x07", "idx", "an idx file of 2 images of 5×7"),
        (b"\0\0\x08\x03\0\0\0\x02\0\0\0\x05\0\0\0", "idx", "an idx file that ends within its header"),
        (b"\0\0\x0c\x02\0\0\x04\xd2\0\0\0\x08", "idx", "an idx table of 1,234 rows and 8 columns"),
        (b"\0\0\x08\x01\0\0\x04\xd2", "idx", "an idx file of 1,234 labels"),
        (b"\0\0\x0a\x01\0\0\0\x01", "unknown", "of an unknown format (it starts with 00000a01)"),
        (b"\0\0\x08\x04\0\0\0\x01", "unknown", "of an unknown format (it starts with 00000804)"),
        ("zwölf".encode()[:3], "text", "a text file"),  # a truncated letter
        (b"\xc3\x28 and more text", "unknown", "of an unknown format (it starts with c3282061)"),
        (b"a:b c", "text", "a text file"),
        (b"5 1:0.1 2:0.5", "libsvm", "a text file in libsvm format"),
    ],
)
def test_a_file_is_recognised_by_its_start(start: bytes, kind: str, words: str) -> None:
    found = recognise_bytes(start)
    assert (found.kind, found.words) == (kind, words)


def test_pictures_and_labels_are_float64(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("label,a,b,c,d\n3,1,2,3,4\n")
    pictures, labels = read_table(path)
    assert (pictures.shape, pictures.dtype, labels.dtype) == ((1, 2, 2), np.float64, np.float64)
