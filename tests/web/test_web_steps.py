"""A run's page and the command line show how its steps were executed, if there was a choice."""

from typing import Any

import pytest

from lab.cli.app import main
from lab.runs.records import RunRecord
from tests.web.addresses import open_page
from tests.web.web_data import Bench

WHY = "launched, because float16 decides on the host whether a step is skipped"


def trained(bench: Bench, **environment: Any) -> RunRecord:
    run = bench.start()
    bench.lab.store.leases.set_environment(run.id, run.lease, environment=environment, device="cuda")
    return bench.finish(run)


def page_of(run: RunRecord) -> list[str]:
    app = open_page("train", run=run.id)
    return [caption.value.replace("\\", "") for caption in app.caption]  # as the page shows it


@pytest.mark.parametrize("steps", ["captured", WHY])
def test_the_page_and_the_command_line_show_how_steps_were_executed(
    bench: Bench, steps: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(bench, steps=steps)
    assert any(caption.endswith(f"steps: {steps}") for caption in page_of(run))
    monkeypatch.setenv("LAB_HOME", str(bench.lab.settings.home))
    main(["show", run.id])
    assert f"of training on cuda, steps: {steps}" in capsys.readouterr().out


@pytest.mark.parametrize("environment", [{}, {"steps": "launched"}, {"steps": 3}], ids=str)
def test_the_page_shows_nothing_about_steps_if_there_was_no_choice(bench: Bench, environment: dict[str, Any]) -> None:
    assert not any("steps:" in caption for caption in page_of(trained(bench, **environment)))
