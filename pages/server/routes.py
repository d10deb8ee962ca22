"""The lab's own HTTP routes: health, live points, component scripts, Plotly.js from the plotly package, QR codes.

They only read the store. A `LabError` is answered with its message and the status 400, 404 or 503.
"""

from pathlib import Path
from typing import Any

import plotly
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from lab.charts.live import live_payload
from lab.charts.live_facts import live_facts, run_marks
from lab.errors import InputError, LabError, RunNotFoundError
from lab.runs.records import RunRecord, RunRequest
from pages.cache.lab import get_lab
from pages.components.base import DIGEST, SCRIPT_ROUTE, SCRIPTS
from pages.components.share import QR_ROUTE, qr_svg
from pages.server.points import PointCache, attempt

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
_DAY_S = 86_400
_PROGRESS = ("step", "total_steps", "epochs", "steps_per_epoch")  # numbers that the charts need

_cache = PointCache()


def healthz(_request: Request) -> Response:
    """Answer 200 while the store can be read, else 503 with the reason."""
    try:
        runs = get_lab().store.runs.count()
    except LabError as error:
        return JSONResponse({"ok": False, "error": str(error)}, status_code=503)
    return JSONResponse({"ok": True, "runs": runs})


def points(request: Request) -> Response:
    """Answer with a live chart's points after `since`, and the run's state and progress."""
    try:
        id = request.path_params["run"]
        store = get_lab().holding(id).store
        run = store.runs.get(id)
        series = _cache.read(store.points, run)
        payload = live_payload(
            series, since=request.query_params.get("since", ""), lease=attempt(run), complete=not run.state.live
        )
    except RunNotFoundError as error:
        return JSONResponse({"error": str(error)}, status_code=404)
    except InputError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    except LabError as error:
        return JSONResponse({"error": str(error)}, status_code=503)
    payload |= run_status(run) | {"facts": live_facts(run, payload["newest"])}
    return JSONResponse(payload, headers={"Cache-Control": "no-store"})


def run_status(run: RunRecord) -> dict[str, Any]:
    """Return the part of a run that changes while it trains, JSON-safe."""
    return {
        **run_marks(run),
        "silence": silence_words(run),
        "answers": run.progress.answers,
        "progress": {n: value for n in _PROGRESS if (value := run.progress.value(n)) is not None},
    }


def silence_words(run: RunRecord) -> str:
    """Return since when a silent run's worker has sent no heartbeat, and what can be done; "" for other runs."""
    if not run.silent:
        return ""
    then = {RunRequest.STOP: "stop", RunRequest.PAUSE: "pause"}.get(run.requested, "continue")
    return (
        f"Its worker does not respond: {run.silence_text}. It was stopped, or its machine is suspended or out of "
        f"memory, and it will {then} by itself once that is over. "
        "Resume gives the run to a new worker, which continues from the last checkpoint, or begins again without one."
    )


def component_script(request: Request) -> Response:
    """Serve a script of our components; its URL has a digest of all scripts, so browsers may cache it."""
    path = SCRIPTS.get(request.path_params["script"])
    if path is None:
        return JSONResponse({"error": "There is no such script: reload the page."}, status_code=404)
    known = request.path_params["digest"] == DIGEST
    keep = f"public, max-age={30 * _DAY_S}, immutable" if known else "no-store"  # a tab from before an update
    return FileResponse(path, media_type="text/javascript", headers={"Cache-Control": keep})


def plotly_js(_request: Request) -> Response:
    """Serve Plotly.js; its URL has the version, so browsers may cache it."""
    return FileResponse(
        PLOTLY_JS, media_type="text/javascript", headers={"Cache-Control": f"public, max-age={30 * _DAY_S}, immutable"}
    )


def qr_code(request: Request) -> Response:
    """Serve the QR code of the query parameter `text`."""
    try:
        picture = qr_svg(request.query_params.get("text", ""))
    except InputError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    return Response(picture, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


ROUTES = [
    Route("/healthz", healthz),
    Route("/api/runs/{run}/points", points),
    Route("/assets/plotly.min.js", plotly_js),
    Route(QR_ROUTE, qr_code),
    Route(SCRIPT_ROUTE, component_script),
]
