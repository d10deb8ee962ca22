"""The routes respond from the store, refuse in a sentence, and read only new rows."""

import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import plotly
import pytest
from starlette.applications import Starlette

from lab.runs.records import RunRecord, RunRequest, RunState, Series
from pages.server.points import PointCache
from pages.server.routes import ROUTES
from tests.web.web_data import DIGITS_CONFIG, Bench, Client, series


@pytest.fixture
def client(bench: Bench) -> Client:
    return Client(Starlette(routes=ROUTES))


def test_the_health_check_reports_the_number_of_runs(bench: Bench, client: Client) -> None:
    bench.queue()
    assert client.get("/healthz").json() == {"ok": True, "runs": 1}


def test_a_client_is_sent_the_points_of_a_run_and_then_only_new_ones(bench: Bench, client: Client) -> None:
    run = bench.start()
    bench.write(run, series("batch/loss", np.linspace(2, 1, 50)), series("batch/accuracy", np.linspace(0, 1, 50)))
    first = client.get(f"/api/runs/{run.id}/points").json()
    assert (first["state"], first["live"], first["device"], first["total"]) == ("running", True, "cpu", 50)
    assert first["progress"] == {"step": 50, "total_steps": 4000, "epochs": 3}
    assert first["facts"] == [
        ["Epoch", "1 of 3"],
        ["Step", "50 of 4,000"],
        ["Images per second", "–"],
        ["Training time", "–"],
        ["Time left", "–"],
        ["Learning rate", "0.001"],
        ["Status", "training"],
    ]
    bench.write(
        run, series("batch/loss", np.array([0.9, 0.8]), first=51), series("val/loss", np.array([0.7]), first=50)
    )
    second = client.get(f"/api/runs/{run.id}/points", params={"since": first["since"]}).json()
    assert second["series"]["batch/loss"]["step"] == [51, 52]
    assert second["series"]["val/loss"] == {"step": [50], "value": [0.7], "time": [0.05], "width": 1}
    assert "batch/accuracy" not in second["series"]


@pytest.mark.parametrize(
    ("step", "phase", "left"), [(39, "training", "3.0 s"), (40, "evaluating", "–")]
)  # the time of the final evaluation is unknown
def test_the_time_left_is_that_of_the_steps_and_the_final_evaluation_is_a_status(
    bench: Bench, client: Client, step: int, phase: str, left: str
) -> None:
    run = bench.start()
    progress = {"step": step, "total_steps": 40, "eta_seconds": 3.0, "phase": phase}
    bench.lab.store.leases.set_progress(run.id, run.lease, progress)
    facts = dict(client.get(f"/api/runs/{run.id}/points").json()["facts"])
    assert (facts["Time left"], facts["Status"]) == (left, phase)


def test_a_client_is_sent_the_answers_to_the_sample_images(bench: Bench, client: Client) -> None:
    run = bench.start()
    assert client.get(f"/api/runs/{run.id}/points").json()["answers"] is None
    progress = {"step": 20, "answers": [[7, 0.25], [1, 1.0]]}
    bench.lab.store.leases.set_progress(run.id, run.lease, progress)
    assert client.get(f"/api/runs/{run.id}/points").json()["answers"] == [[7, 0.25], [1, 1.0]]
    bench.lab.store.leases.set_progress(run.id, run.lease, progress | {"answers": [["seven", 2.0]]})  # malformed
    assert client.get(f"/api/runs/{run.id}/points").json()["answers"] is None


def test_an_update_without_new_points_is_small(bench: Bench, client: Client) -> None:
    run = bench.start()
    bench.write(run, series("batch/loss", np.linspace(2, 1, 5000)))
    first = client.get(f"/api/runs/{run.id}/points").json()
    again = client.get(f"/api/runs/{run.id}/points", params={"since": first["since"]})
    assert len(again.content) < 600


def test_an_ended_run_is_sent_up_to_its_last_step_and_is_not_live(bench: Bench, client: Client) -> None:
    run = bench.start()
    bench.write(run, series("batch/loss", np.linspace(2, 1, 4003)))
    running = client.get(f"/api/runs/{run.id}/points").json()
    assert running["series"]["batch/loss"]["step"][-1] < 4000
    bench.finish(run)
    ended = client.get(f"/api/runs/{run.id}/points", params={"since": running["since"]}).json()
    assert (ended["live"], ended["replace"]) == (False, False)
    assert ended["series"]["batch/loss"]["step"][-1] == 4003


def test_a_client_of_a_resumed_run_drops_the_points_beyond_the_step_it_was_rewound_to(
    bench: Bench, client: Client
) -> None:
    store, run = bench.lab.store, bench.start()
    bench.write(run, series("batch/loss", np.linspace(2, 1, 50)))
    address = f"/api/runs/{run.id}/points"
    seen = client.get(address).json()["since"]
    store.leases.finish(run.id, run.lease, state=RunState.INTERRUPTED)
    store.leases.request(run.id, RunRequest.RUN)
    again = store.leases.claim(slot="cpu", owner=bench.owner)
    assert again is not None
    seen = client.get(address, params={"since": seen}).json()["since"]  # before the worker has loaded the data set
    store.history.rewind(run.id, again.lease, 20)
    bench.write(again, series("batch/loss", np.array([1.5]), first=21))
    news = client.get(address, params={"since": seen}).json()
    assert (news["replace"], news["total"]) == (True, 21)
    assert news["series"]["batch/loss"]["step"] == list(range(1, 22))


def test_a_loss_that_is_nan_does_not_break_the_response(bench: Bench, client: Client) -> None:
    run = bench.start()
    bench.write(run, series("batch/loss", np.array([1.0, np.nan, np.inf])))
    part = client.get(f"/api/runs/{run.id}/points").json()["series"]["batch/loss"]
    assert part["non_finite"] == [[2, "NaN", 0.002], [3, "Infinity", 0.003]]


def test_an_unknown_run_is_404_and_an_invalid_position_400_with_a_sentence(bench: Bench, client: Client) -> None:
    assert client.get("/api/runs/nobody/points").status_code == 404
    run = bench.queue()
    response = client.get(f"/api/runs/{run.id}/points", params={"since": "1;drop"})
    assert response.status_code == 400
    assert "was not issued by this lab" in response.json()["error"]


def test_plotly_comes_from_the_installed_package_and_may_be_cached(client: Client) -> None:
    response = client.get(f"/assets/plotly.min.js?v={plotly.__version__}")
    assert response.status_code == 200
    assert "plotly.js v" in response.text[:200]
    assert "immutable" in response.headers["cache-control"]


class _Counting:
    """Curves in memory that count the rows which were read."""

    def __init__(self) -> None:
        self.curves: dict[str, Series] = {}
        self.rows = 0

    def read(self, run: str, *, series: Iterable[str] | None = None, after_step: int = -1) -> dict[str, Series]:
        found = {}
        for name in series or ():
            if name in self.curves:
                curve = self.curves[name]
                new = curve.step > after_step
                found[name] = Series(name, curve.step[new], curve.value[new], curve.time_s[new])
                self.rows += int(new.sum())
        return found


def test_the_cache_reads_only_new_rows_from_the_store(bench: Bench) -> None:
    run, store, cache = bench.start(), _Counting(), PointCache()
    for name in ("batch/loss", "batch/accuracy"):
        store.curves[name] = series(name, np.zeros(1000))
    cache.read(store, run)
    for name in store.curves:
        store.curves[name] = series(name, np.zeros(1010))
    store.rows = 0
    assert len(cache.read(store, run)["batch/loss"].step) == 1010
    assert store.rows == 20


def _finished(bench: Bench, seed: int) -> RunRecord:
    run = bench.start(DIGITS_CONFIG.replace(seed=seed))
    bench.write(run, series("batch/loss", np.zeros(10)))
    return bench.finish(run)


def test_the_cache_evicts_the_least_recently_read_of_more_than_sixteen_runs(bench: Bench) -> None:
    runs, store, cache = [_finished(bench, seed) for seed in range(17)], _Counting(), PointCache()
    for name in ("batch/loss", "batch/accuracy"):
        store.curves[name] = series(name, np.zeros(10))
    for run in runs[:16]:
        cache.read(store, run)
    cache.read(store, runs[0])  # read again, so the second is the oldest now
    cache.read(store, runs[16])
    store.rows = 0
    for run in (runs[0], *runs[2:]):
        cache.read(store, run)
    assert store.rows == 0
    cache.read(store, runs[1])
    assert store.rows == 20


def test_late_points_of_a_series_are_read_even_if_others_of_its_group_are_ahead(bench: Bench) -> None:
    run, store, cache = bench.start(), _Counting(), PointCache()
    store.curves["batch/loss"] = series("batch/loss", np.zeros(10))
    store.curves["batch/accuracy"] = series("batch/accuracy", np.zeros(6))
    cache.read(store, run)
    store.curves["batch/accuracy"] = series("batch/accuracy", np.ones(10))
    found = cache.read(store, run)
    assert [found[name].step.tolist() for name in ("batch/loss", "batch/accuracy")] == [list(range(1, 11))] * 2
    assert found["batch/accuracy"].value.tolist() == [0.0] * 6 + [1.0] * 4


def _scan(svg: str) -> str:
    """Decode a QR code as a phone does: draw the picture's rows of modules and read the image."""
    size = int(re.findall(r'viewBox="0 0 (\d+) \1"', svg)[0])
    modules = np.full((size, size), 255, dtype=np.uint8)
    x, y = 0, 0.0
    for kind, *numbers in re.findall(
        r"([Mmh])(-?[\d.]+)(?:[ ,]?(-?[\d.]+))?", re.findall(r'stroke="#000" d="([^"]+)"', svg)[0]
    ):
        if kind == "h":
            modules[int(y), x : x + int(numbers[0])] = 0
            x += int(numbers[0])
        else:
            x, y = (
                (int(numbers[0]), float(numbers[1]))
                if kind == "M"
                else (x + int(numbers[0]), y + float(numbers[1] or 0))
            )
    picture = np.kron(modules, np.full((8, 8), 1, dtype=np.uint8))
    return str(cv2.QRCodeDetector().detectAndDecode(picture)[0])


@pytest.mark.parametrize("length", [40, 400, 1500])
def test_the_qr_code_of_a_link_decodes_to_the_link(client: Client, length: int) -> None:
    link = "http://192.168.0.7:8501/runs?runs=" + "0a1b2c3d.x-7.%C3%A4"[: length - 34].ljust(length - 34, "f")
    response = client.get("/assets/qr.svg", params={"text": link})
    assert response.headers["content-type"] == "image/svg+xml"
    assert _scan(response.text) == link


@pytest.mark.parametrize("text", ["", "x" * 2001])
def test_an_empty_or_too_long_text_for_a_qr_code_is_refused_in_a_sentence(client: Client, text: str) -> None:
    response = client.get("/assets/qr.svg", params={"text": text})
    assert response.status_code == 400
    assert f"{len(text):,} characters" in response.json()["error"]


@pytest.mark.parametrize("path", ["/healthz", "/api/runs/anything/points"])
def test_an_unreadable_store_is_503_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: Client, path: str
) -> None:
    home = tmp_path / "broken"
    home.mkdir()
    (home / "lab.db").write_bytes(b"this is no database at all, only some text that is long enough" * 20)
    monkeypatch.setenv("LAB_HOME", str(home))
    response = client.get(path)
    assert response.status_code == 503
    assert "the run store" in response.json()["error"]
    assert response.json().get("ok") is (False if path == "/healthz" else None)
