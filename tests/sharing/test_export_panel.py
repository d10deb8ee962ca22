"""The export panel as Streamlit renders it: formats write their files, a bundle is imported, errors are messages."""

import io
import zipfile
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sharing.bundle.write import write_bundle
from lab.sharing.formats import CARD, FORMATS, export_runs, list_formats
from pages.widgets.export_panel import _mime, downloads, file_stem

Open = Callable[..., AppTest]


@pytest.fixture
def open_panel(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Open:
    for name, value in lab.settings.environment().items():
        monkeypatch.setenv(name, value)

    def page(ids: list[str], search: str | None) -> None:
        from pages.cache.lab import get_lab
        from pages.widgets.export_panel import export_panel

        export_panel(get_lab(), [get_lab().store.runs.get(id) for id in ids], search=search)

    def opened(*runs: RunRecord, search: str | None = None) -> AppTest:
        given = {"ids": [run.id for run in runs], "search": search}
        app = AppTest.from_function(page, default_timeout=300, kwargs=given).run()
        assert not app.exception, [error.value for error in app.exception]
        return app

    return opened


def write(app: AppTest, format: str) -> AppTest:
    app.selectbox[0].set_value(format).run()
    app.button(key="share-write").click().run()
    assert not app.exception, [error.value for error in app.exception]
    return app


@pytest.mark.parametrize("format", ["csv", "markdown", "safetensors", "tensorboard", "bundle"])
def test_an_export_offers_a_download_with_the_id_of_its_run(open_panel: Open, run: RunRecord, format: str) -> None:
    app = write(open_panel(run), format)
    labels = [element.proto.label for element in app.get("download_button")]
    assert labels
    assert all(run.id in label for label in labels)
    assert not app.error


def test_several_runs_are_offered_only_formats_that_hold_several(
    open_panel: Open, pair: tuple[RunRecord, RunRecord]
) -> None:
    app = open_panel(*pair)
    assert app.selectbox[0].options == [f.title for f in list_formats() if f.many]
    app = write(app, "latex")
    assert [element.proto.label for element in app.get("download_button")] == ["convlab-2-runs.tex"]


def test_all_runs_of_the_search_are_exported_instead_of_the_chosen_ones(
    open_panel: Open, pair: tuple[RunRecord, RunRecord]
) -> None:
    app = open_panel(pair[0], search="lr<1")
    assert app.button_group[0].options == ["1 chosen run", "All runs found"]
    assert len(app.selectbox[0].options) == len(FORMATS)  # for the one chosen run
    app.button_group[0].set_value("found").run()
    assert app.selectbox[0].options == [f.title for f in list_formats() if f.many]
    app = write(app, "csv")
    (label,) = [element.proto.label for element in app.get("download_button")]
    assert label.startswith("convlab-")
    assert label.endswith("-runs.csv")


def test_without_chosen_runs_those_of_the_search_are_exported(
    open_panel: Open, pair: tuple[RunRecord, RunRecord]
) -> None:
    app = write(open_panel(search=f"id:{pair[1].id}"), "csv")
    assert [element.proto.label for element in app.get("download_button")] == [f"1-1-b-second-b-{pair[1].id}.csv"]
    assert not open_panel().selectbox  # nothing to export without both


def test_a_search_that_finds_too_many_runs_names_the_command(
    open_panel: Open, pair: tuple[RunRecord, RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.widgets.export_panel.MAX_FOUND", 1)
    app = write(open_panel(search=""), "csv")
    assert "More than 1 runs were found" in app.error[0].value
    assert "`convlab export --filter`" in app.error[0].value
    assert not app.get("download_button")


def test_an_export_error_is_shown_as_its_message(open_panel: Open, lab: Lab, run: RunRecord) -> None:
    from lab.config import RunConfig

    waiting = lab.submissions.submit(lab.validation.resolve(RunConfig(dataset="digits", seed=54321))).run
    app = write(open_panel(waiting), "safetensors")
    lab.store.removal.delete(waiting.id)
    assert "has no saved weights yet" in app.error[0].value.replace("\\", "")


def test_an_uploaded_bundle_is_imported(open_panel: Open, lab: Lab, run: RunRecord) -> None:
    app = open_panel()
    app.file_uploader[0].set_value(("runs.zip", write_bundle(lab, [run]), "application/zip")).run()
    before = lab.store.runs.count()
    app.button(key="share-import").click().run()
    assert not app.exception
    assert not app.error
    arrived = lab.store.runs.list(where="origin:imported")[0]
    assert (arrived.name, lab.store.runs.count()) == (run.name, before + 1)
    lab.store.removal.delete(arrived.id)


def test_an_uploaded_file_that_is_not_a_bundle_is_refused_with_a_message(open_panel: Open) -> None:
    app = open_panel()
    app.file_uploader[0].set_value(("runs.zip", b"hello", "application/zip")).run()
    app.button(key="share-import").click().run()
    assert "it is not a zip file" in app.error[0].value


@pytest.mark.parametrize("format", ["csv", "safetensors", "tensorboard"])
def test_file_names_are_plain_whatever_the_names_of_the_runs(
    lab: Lab, pair: tuple[RunRecord, RunRecord], format: str
) -> None:
    odd = pair[1]
    assert file_stem([odd]) == f"1-1-b-second-b-{odd.id}"
    names = downloads(export_runs(lab, [odd], format=format), FORMATS[format], file_stem([odd]))
    assert all(name.replace("-", "").replace(".", "").isalnum() for name in names)
    if format == "tensorboard":
        with zipfile.ZipFile(io.BytesIO(next(iter(names.values())))) as archive:
            assert archive.namelist()[0].startswith(f"lenet5-{odd.id}/events.out.tfevents.")


@pytest.mark.parametrize(
    ("format", "name", "mime"),
    [
        ("tensorboard", "x-tensorboard.zip", "application/zip"),
        ("code", "x-code.zip", "application/zip"),
        ("bundle", "x.zip", "application/zip"),
        ("csv", "x.csv", "text/csv"),
        ("html", "x.html", "text/html"),
        ("safetensors", "x.safetensors", "application/octet-stream"),
        ("safetensors", "x.card.md", "text/markdown"),
    ],
)
def test_a_file_is_downloaded_with_its_mime_type(format: str, name: str, mime: str) -> None:
    assert _mime(name, FORMATS[format]) == mime


def test_exported_code_becomes_one_zip_and_other_formats_stay_separate_files() -> None:
    files = {"": b"main", "lab/a.py": b"module"}
    (name, data), *rest = downloads(files, FORMATS["code"], "stem").items()
    assert (name, rest) == ("stem-code.zip", [])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {each: archive.read(each) for each in archive.namelist()} == {
            FORMATS["code"].main: b"main",
            "lab/a.py": b"module",
        }
    assert downloads({"": b"x", CARD: b"y"}, FORMATS["safetensors"], "stem") == {
        "stem.safetensors": b"x",
        "stem.card.md": b"y",
    }
    assert list(downloads({"": b"x"}, FORMATS["csv"], "stem")) == ["stem.csv"]


def test_no_two_formats_write_files_of_the_same_name() -> None:
    names = [
        name for one in FORMATS.values() for name in downloads({"events" if one.folder else "": b"x"}, one, "stem")
    ]
    assert sorted(set(names)) == sorted(names)
