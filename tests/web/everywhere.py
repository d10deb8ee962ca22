"""Opens runs everywhere: on every page and view, over every route, in every export and in the CLI."""

import io
import json
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any

from starlette.applications import Starlette
from streamlit.testing.v1 import AppTest

from lab.charts.overlay import AXES
from lab.charts.pareto import COSTS
from lab.cli.app import main
from lab.errors import LabError
from lab.metric_charts import list_charts
from lab.presets import REPORTS
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sharing.comparison import list_results
from lab.sharing.formats import export_runs, list_formats
from pages.markdown import plain
from pages.server.routes import ROUTES
from pages.state.runs_view import LOOKS
from tests.web.addresses import ENTRY, go_to
from tests.web.web_data import Client

GROUP_SIZE = 50  # runs per table, comparison and file


class Everywhere:
    """Opens runs and collects the failures, each as "place: error (file:line)"."""

    def __init__(self, lab: Lab, rng: random.Random) -> None:
        self.lab, self.rng = lab, rng
        self.failures: list[str] = []
        self.opened = 0
        self._apps: dict[str, AppTest] = {}
        self._client = Client(Starlette(routes=ROUTES))

    def open(self, ids: Sequence[str], *, deep: int = 1, alone: float = 1.0) -> list[str]:
        """Open all runs together, some alone, and `deep` random ones with their weights; return the new failures.

        alone: the share of them that is opened alone.
        """
        before = len(self.failures)
        for start in range(0, len(ids), GROUP_SIZE):
            self._together(list(ids[start : start + GROUP_SIZE]))
        for id in ids:
            if self.rng.random() < alone:
                self._alone(id)
        for id in self.rng.sample(list(ids), min(deep, len(ids))):
            self._with_weights(id)
        return self.failures[before:]

    def _together(self, ids: list[str]) -> None:
        self._page("home")
        chosen = ".".join(ids)
        for look in LOOKS:
            address = {"runs": chosen, "look": look, **self._options()}
            self._page("runs", **address)
        self._page("runs", show="reports", report=self.rng.choice(list(REPORTS)))
        self._page("runs", q=self.rng.choice(["test>0.5", "speed<1e9", "on:cpu", "seconds>1"]), sort=self._sort())
        self._page("architecture")
        for format in list_formats():
            if format.many:
                self._try(
                    f"{format.id} of {len(ids)}",
                    lambda f=format.id: export_runs(self.lab, self._records(ids), format=f),
                )
        for arguments in (
            ["runs", "--limit", "1000"],
            ["runs", "--json", "--sort", self._sort()],
            ["compare", *ids],
            ["compare", "--json", *ids],
        ):
            self._cli(arguments)

    def _alone(self, id: str) -> None:
        self._page("train", run=id)
        self._try(f"points {id}", lambda: self._points(id))
        for arguments in (["show", id], ["show", "--json", "--metrics", id]):
            self._cli(arguments)
        if self.rng.random() < 0.2:
            for format in list_formats():
                if not format.weights:
                    self._try(
                        f"{format.id} {id}", lambda f=format.id: export_runs(self.lab, self._records([id]), format=f)
                    )

    def _with_weights(self, id: str) -> None:
        for view in ("network", "maps", "kernels", "gradients", "answers", "robustness"):
            self._page("inside", run=id, view=view)
        self._page("draw", runs=id)
        for format in list_formats():
            if format.weights:
                self._try(f"{format.id} {id}", lambda f=format.id: export_runs(self.lab, self._records([id]), format=f))

    def _options(self) -> dict[str, str]:
        pick = self.rng.choice
        switches = {name: pick("01") for name in ("raw", "logx", "logy", "fold", "test", "clip")}
        return {
            "x": pick(list(AXES)),
            "curves": ",".join(self.rng.sample(list(list_charts()), 2)),
            "result": pick(list(list_results())),
            "cost": pick(list(COSTS)),
            "by": pick(["lr", "epochs", "arch", "seed"]),
            "smooth": pick(["0", "0.6", "0.99"]),
            **switches,
        }

    def _sort(self) -> str:
        return self.rng.choice(["-created", "finished", "-test", "val", "-seconds", "speed", "name", "best_epoch"])

    def _records(self, ids: Sequence[str]) -> list[RunRecord]:
        return [self.lab.store.runs.get(id) for id in ids]

    def _points(self, id: str) -> None:
        answer = self._client.get(f"/api/runs/{id}/points")
        assert answer.status_code == 200, answer.text[:200]
        json.loads(answer.text, parse_constant=_no_constant)

    def _page(self, page: str, **query: str) -> None:
        def draw() -> None:
            app = AppTest.from_file(str(ENTRY), default_timeout=120) if page not in self._apps else self._apps[page]
            if page not in self._apps:
                app.run()
            app.query_params.clear()
            for name, value in query.items():
                app.query_params[name] = value
            if page not in self._apps and page != "home":
                go_to(app, page)
            app.run()
            self._apps[page] = app
            if app.exception:
                raise AssertionError(app.exception[0].message + " " + "".join(app.exception[0].stack_trace[-3:]))
            known = {plain(finding.message) for run in self.lab.store.runs.list(limit=None) for finding in run.findings}
            failed = [e.value for e in app.error if e.value not in known]
            assert not failed, failed
            if page == "train":
                assert any(query["run"] in caption.value for caption in app.caption), "the run is not shown"
            if page == "runs" and "runs" in query:
                assert "Compare" in [heading.value for heading in app.header], "the runs are not compared"

        self._try(f"page {page} {query.get('run') or query.get('look') or query.get('view') or ''}", draw)
        if self.failures and self.failures[-1].startswith(f"page {page} "):
            self._apps.pop(page, None)

    def _cli(self, arguments: list[str]) -> None:
        def run() -> None:
            out = io.StringIO()
            with redirect_stdout(out):
                main(arguments)
            if "--json" in arguments:
                json.loads(out.getvalue(), parse_constant=_no_constant)

        self._try(f"cli {' '.join(arguments[:2])}", run)

    def _try(self, where: str, do: Callable[[], Any]) -> None:
        self.opened += 1
        try:
            do()
        except LabError:
            return  # an error message is a correct response
        except (Exception, SystemExit) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.failures.append(f"{where}: {type(error).__name__}: {str(error)[:300]} ({last.filename}:{last.lineno})")


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def groups(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield the ids in groups of `size`."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
