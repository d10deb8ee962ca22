"""Requests to Ray and how its responses are read, with a fake dashboard; the cluster tests run a real one."""

import hashlib
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest

from lab.executors.base import ExecutorError, Job, JobState
from lab.executors.config import RayConfig
from lab.executors.ray import Ray, zip_code
from lab.settings import CHECKOUT

JOB = Job("lab-a-1", ["-m", "lab.worker", "--run", "a"], {"LAB_HOME": "/home/lab"})


class Dashboard(ThreadingHTTPServer):
    """Responds as given in `answers`, by method and path, and with 404 to other requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[tuple[str, str], tuple[int, str]] = {}
        self.asked: list[tuple[str, str, bytes, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Dashboard

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, body, self.headers.get("Authorization", "")))
        code, text = self.server.answers.get((self.command, self.path), (404, "not found"))
        self.send_response(code)
        if code == 302:
            self.send_header("Location", text)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        return


for _method in ("GET", "POST", "PUT"):
    setattr(_Handler, f"do_{_method}", _Handler._answer)


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    server = Dashboard()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ray(dashboard: Dashboard) -> Ray:
    return Ray(RayConfig(dashboard.address + "/", token="secret", cpus=2, environment={"LAB_DATA": "/data"}))


def test_a_job_runs_the_worker_with_the_code_and_its_processors(ray: Ray, dashboard: Dashboard) -> None:
    package = f"_ray_pkg_{_digest()}.zip"
    dashboard.answers = {
        ("PUT", f"/api/packages/gcs/{package}"): (200, ""),
        ("POST", "/api/jobs/"): (200, '{"submission_id": "lab-a-1"}'),
    }
    assert ray.submit(JOB) == "lab-a-1"
    assert [(method, path) for method, path, _, _ in dashboard.asked] == [
        ("GET", f"/api/packages/gcs/{package}"),
        ("PUT", f"/api/packages/gcs/{package}"),
        ("POST", "/api/jobs/"),
    ]
    assert {token for *_, token in dashboard.asked} == {"Bearer secret"}
    asked = json.loads(dashboard.asked[-1][2])
    assert asked["entrypoint"] == "exec python3 -m lab.worker --run a"
    assert (asked["submission_id"], asked["entrypoint_num_cpus"], asked["entrypoint_num_gpus"]) == ("lab-a-1", 2, 0)
    assert asked["runtime_env"]["working_dir"] == f"gcs://{package}"
    variables = asked["runtime_env"]["env_vars"]
    assert (variables["LAB_HOME"], variables["LAB_DATA"], variables["OMP_NUM_THREADS"]) == ("/home/lab", "/data", "2")
    dashboard.answers[("GET", f"/api/packages/gcs/{package}")] = (200, "")
    dashboard.answers[("POST", "/api/jobs/")] = (
        500,
        "Traceback\n...\nValueError: Job with submission_id lab-a-1 already exists.\n",
    )
    assert ray.submit(JOB) == "lab-a-1"
    assert [method for method, *_ in dashboard.asked[3:]] == ["GET", "POST"]  # the code was uploaded before


def _digest() -> str:
    return hashlib.blake2b(zip_code(CHECKOUT), digest_size=16).hexdigest()


def test_the_code_package_is_the_lab_without_pages_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    code = zip_code(CHECKOUT)
    assert code == zip_code(CHECKOUT)
    names = zipfile.ZipFile(BytesIO(code)).namelist()
    assert "lab/worker/__main__.py" in names
    assert all(name.startswith("lab/") for name in names)
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (
            {"status": "PENDING", "message": "Job has not started yet. It may be waiting for resources (CPUs)."},
            JobState.PENDING,
            "PENDING, Job has not started yet",
        ),
        ({"status": "RUNNING", "message": "Job is currently running."}, JobState.RUNNING, "RUNNING"),
        ({"status": "SUCCEEDED"}, JobState.ENDED, "SUCCEEDED"),
        ({"status": "STOPPED"}, JobState.CANCELLED, "STOPPED"),
        (
            {"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_DIED"},
            JobState.ENDED,
            "FAILED, JOB_SUPERVISOR_ACTOR_DIED",
        ),
        (None, JobState.GONE, "unknown to Ray"),
    ],
)
def test_every_status_of_ray_is_mapped_to_a_job_state(
    ray: Ray, dashboard: Dashboard, answer: dict[str, str] | None, state: JobState, words: str
) -> None:
    if answer:
        dashboard.answers = {("GET", "/api/jobs/lab-a-1"): (200, json.dumps(answer))}
    found = ray.states(["lab-a-1"])["lab-a-1"]
    assert (found.state, found.words) == (state, words)


def test_the_capacity_is_as_many_jobs_as_the_cluster_has_processors_or_gpus_for(dashboard: Dashboard) -> None:
    usage = {"CPU": [1.0, 7.0], "GPU": [0.0, 2.0]}
    status = {"data": {"clusterStatus": {"loadMetricsReport": {"usage": usage}}}}
    dashboard.answers = {("GET", "/api/cluster_status"): (200, json.dumps(status))}
    assert Ray(RayConfig(dashboard.address, cpus=2)).capacity() == 3
    assert Ray(RayConfig(dashboard.address, cpus=1, gpus=1)).capacity() == 2
    assert Ray(RayConfig(dashboard.address, jobs=40)).capacity() == 40
    del usage["GPU"]
    dashboard.answers = {("GET", "/api/cluster_status"): (200, json.dumps(status))}
    assert Ray(RayConfig(dashboard.address, gpus=1)).capacity() == 0


def test_refusals_timeouts_and_redirects_are_reported_in_one_sentence(ray: Ray, dashboard: Dashboard) -> None:
    dashboard.answers = {("GET", "/api/jobs/lab-a-1"): (403, "Forbidden: Invalid authentication token")}
    with pytest.raises(ExecutorError, match="Ray refused with 403: Forbidden: Invalid authentication token"):
        ray.states(["lab-a-1"])
    dashboard.answers = {("GET", "/api/jobs/lab-a-1"): (200, "<html>")}
    with pytest.raises(ExecutorError, match=r"is not JSON: is http://127\.0\.0\.1:[0-9]+/ its dashboard"):
        ray.states(["lab-a-1"])
    dashboard.answers = {("GET", "/api/jobs/lab-a-1"): (302, "http://127.0.0.1:1/")}
    with pytest.raises(ExecutorError, match="Ray refused with 302"):  # the token is not sent elsewhere
        ray.states(["lab-a-1"])
    with pytest.raises(ExecutorError, match=r"Ray at http://127\.0\.0\.1:1 does not respond"):
        Ray(RayConfig("http://127.0.0.1:1")).states(["lab-a-1"])


def test_cancelling_a_job_and_reading_its_log_ignore_one_that_ray_does_not_know(ray: Ray, dashboard: Dashboard) -> None:
    ray.cancel("lab-a-1")
    assert ray.logs("lab-a-1", "lab-a-1") == ""
    dashboard.answers = {("GET", "/api/jobs/lab-a-1/logs"): (200, '{"logs": "one line"}')}
    assert ray.logs("lab-a-1", "lab-a-1") == "one line"
    assert ("POST", "/api/jobs/lab-a-1/stop") in [(method, path) for method, path, *_ in dashboard.asked]


def test_a_dashboard_that_accepts_a_request_and_does_not_respond_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ray = Ray(RayConfig(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        with pytest.raises(ExecutorError, match=r"does not respond \(timed out\)"):
            ray._request("GET", "/api/jobs/lab-a-1", limit_s=0.1)


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (
            200,
            '{"status": "DREAMING"}',
            "Ray reports the state 'DREAMING' of job lab-a-1, which this release does not recognise.",
        ),
        (200, "{}", "Ray reports the state '' of job lab-a-1, which this release does not recognise."),
        (500, "Traceback\n\n  ValueError: no room  \n   \n\n", "Ray refused with 500: ValueError: no room"),
        (500, " \n", "Ray refused with 500: no reason given"),
        (500, "x" * 300, f"Ray refused with 500: {'x' * 200}"),
    ],
    ids=["unknown", "none", "traceback", "silent", "long"],
)
def test_responses_without_a_job_status_are_reported_with_the_last_line_of_the_error(
    ray: Ray, dashboard: Dashboard, code: int, text: str, words: str
) -> None:
    dashboard.answers = {("GET", "/api/jobs/lab-a-1"): (code, text)}
    with pytest.raises(ExecutorError) as caught:
        ray.states(["lab-a-1"])
    assert str(caught.value) == words
