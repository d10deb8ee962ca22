"""Ray, through its REST API for jobs. Ray is not imported, so its version does not matter.

The lab's code is uploaded as a zip, once for each version of the code. The entrypoint is the worker itself (`exec`),
because a child process that Ray does not know would continue training after its node is lost. For up to 19 s, Ray
reports the job of a lost node as running.
"""

import hashlib
import io
import json
import shlex
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lab.executors.base import SHOWN_LOG, ExecutorError, Job, JobState, JobStatus
from lab.executors.config import RayConfig
from lab.settings import CHECKOUT, PROCESS_ENVIRONMENT

REQUEST_S = 10.0
_SENT_S = 60.0  # timeout for uploading the code
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # constant, so that equal code gives equal zip files
_STATES = {
    "PENDING": JobState.PENDING,
    "RUNNING": JobState.RUNNING,
    "SUCCEEDED": JobState.ENDED,
    "FAILED": JobState.ENDED,
    "STOPPED": JobState.CANCELLED,
}
_MISSING = 404


class Ray:
    """The Ray cluster of one dashboard."""

    starts_again = False

    def __init__(self, config: RayConfig) -> None:
        self._config = config

    def capacity(self) -> int:
        """Return how many jobs of this lab may exist at once; limited, because Ray fails a job that waits for 900 s."""
        config = self._config
        if config.jobs:
            return config.jobs
        status = self._ask("GET", "/api/cluster_status")
        usage = _path(status, "data", "clusterStatus", "loadMetricsReport", "usage") or {}
        room = []
        for name, each in (("CPU", config.cpus), ("GPU", config.gpus)):
            total = usage.get(name, [0, 0])[1] if isinstance(usage.get(name), list) else 0
            if each:
                room.append(int(total // each))
        return min(room)

    def submit(self, job: Job) -> str:
        """Submit a job under its id, which is also its handle; a job that already exists is not changed."""
        config = self._config
        environment = {**PROCESS_ENVIRONMENT, "OMP_NUM_THREADS": str(config.cpus), **job.environment}
        environment |= config.environment or {}
        asked: dict[str, Any] = {
            "entrypoint": "exec " + shlex.join([config.python, *job.arguments]),
            "submission_id": job.id,
            "entrypoint_num_cpus": config.cpus,  # 0 would place every job on the head node
            "entrypoint_num_gpus": config.gpus,
            "runtime_env": {"working_dir": self._send_code(), "env_vars": environment},
        }
        try:
            self._ask("POST", "/api/jobs/", asked)
        except ExecutorError as error:
            if "already exists" not in str(error):
                raise
        return job.id

    def states(self, handles: Sequence[str]) -> Mapping[str, JobStatus]:
        """Return the states of these jobs by handle."""
        return {handle: self._state(handle) for handle in handles}

    def _state(self, handle: str) -> JobStatus:
        try:
            found = self._ask("GET", f"/api/jobs/{quote(handle)}")
        except _NotThereError:
            return JobStatus(JobState.GONE, "unknown to Ray")
        word = str(found.get("status", ""))
        state = _STATES.get(word)
        if state is None:
            raise ExecutorError(
                f"Ray reports the state {word[:40]!r} of job {handle}, which this release does not recognise."
            )
        # For a waiting job, Ray lists possible reasons in three sentences; only the first one is certain.
        message = str(found.get("message") or "").partition(". ")[0] if state is JobState.PENDING else ""
        why = found.get("error_type") or message
        return JobStatus(state, f"{word}, {' '.join(str(why).split())[:160]}" if why else word)

    def cancel(self, handle: str) -> None:
        """Ask a job to end: Ray sends TERM, and KILL after three seconds."""
        try:
            self._ask("POST", f"/api/jobs/{quote(handle)}/stop")
        except _NotThereError:
            return

    def logs(self, handle: str, job: str) -> str:
        """Return the end of a job's output; the output of a job on a lost node is lost."""
        try:
            found = self._ask("GET", f"/api/jobs/{quote(handle)}/logs")
        except _NotThereError:
            return ""
        return str(found.get("logs", ""))[-SHOWN_LOG:]

    def _send_code(self) -> str:
        """Upload the lab's code if necessary and return its URI in the cluster.

        The cluster deletes it a few minutes after the last job that used it, so this is checked before every job.
        """
        name = f"_ray_pkg_{hashlib.blake2b(self._code, digest_size=16).hexdigest()}.zip"
        place = f"/api/packages/gcs/{name}"
        try:
            self._request("GET", place)
        except _NotThereError:
            self._request("PUT", place, self._code, kind="application/octet-stream", limit_s=_SENT_S)
        return f"gcs://{name}"

    @cached_property
    def _code(self) -> bytes:
        return zip_code(CHECKOUT)

    def _ask(self, method: str, path: str, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        body = b"" if values is None and method == "POST" else None if values is None else json.dumps(values).encode()
        answer = self._request(method, path, body)
        try:
            found = json.loads(answer)
        except ValueError as error:
            raise ExecutorError(
                f"Ray's response to {path} is not JSON: is {self._config.address} its dashboard?"
            ) from error
        return found if isinstance(found, dict) else {}

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        kind: str = "application/json",
        limit_s: float = REQUEST_S,
    ) -> bytes:
        url = self._config.address.rstrip("/") + path
        request = urllib.request.Request(url, data=body, method=method)  # noqa: S310  only http and https are allowed
        request.add_header("Content-Type", kind)
        if self._config.token:
            request.add_header("Authorization", f"Bearer {self._config.token}")
        try:
            with _OPENER.open(request, timeout=limit_s) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            said = _last_line(error.read().decode(errors="replace"))
            if error.code == _MISSING:
                raise _NotThereError(f"Ray has no {path}: {said}") from error
            raise ExecutorError(f"Ray refused with {error.code}: {said}") from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ExecutorError(f"Ray at {self._config.address} does not respond ({reason}).") from error


class _NotThereError(ExecutorError):
    """The cluster does not have the job or package."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, which would send the token to another server."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))


def zip_code(root: Path) -> bytes:
    """Return the lab's code as a zip whose bytes are equal for equal code."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((root / "lab").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.writestr(
                    zipfile.ZipInfo(str(path.relative_to(root)), _ZIP_DATE), path.read_bytes(), zipfile.ZIP_DEFLATED
                )
    return packed.getvalue()


def _path(values: Any, *names: str) -> Any:
    for name in names:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _last_line(text: str) -> str:
    """Return the last line of a text, which may be a traceback, with at most 200 characters."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "no reason given"
