"""Findings in the CLI: the outcome in lists, and a command that trains again with the remedy."""

import json
import shlex
from collections.abc import Iterator

import click
import pytest

from lab.cli.findings import finding_lines, train_flags
from lab.cli.options import build_config, config_options
from lab.config import RunConfig
from lab.findings import AT_CHANCE, Finding
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState
from lab.service.lab import Lab
from lab.settings import Settings
from tests.cli.conftest import CommandLine

STUCK = Finding(AT_CHANCE, "mistake", "No better than guessing: 9.80 % after epoch 3.", {"lr": 0.001})
CONFIG = RunConfig(dataset="digits", optimizer="rmsprop", lr=0.03, arch="lenet-bn", arch_options={"widths": [6, 16]})


@pytest.fixture
def stuck(home: object, command_line: CommandLine) -> Iterator[RunRecord]:
    lab = Lab(Settings.from_env({"LAB_HOME": str(home)}))
    run = lab.store.queue.submit(CONFIG, fingerprint="stuck", family="", name="stuck")[0]
    claimed = lab.store.leases.claim(slot="elsewhere", owner=Owner.of_this_process())
    assert claimed is not None
    assert claimed.id == run.id
    yield lab.store.leases.finish(run.id, claimed.lease, state=RunState.FINISHED, findings=(STUCK,))
    lab.store.removal.delete(run.id)


def test_lists_and_show_print_the_outcome_of_a_run(command_line: CommandLine, stuck: RunRecord) -> None:
    assert "no better than guessing" in command_line("runs")[1]
    code, out, _ = command_line("show", "stuck")
    assert code == 0
    assert out.startswith(f"{stuck.id}  stuck  no better than guessing")
    assert f"Problem: {STUCK.message}" in out
    assert "Train again with: python -m lab train" in out
    assert "--lr 0.001" in out
    assert command_line("runs", "--filter", "outcome:guessing name:stuck", "--json")[1].count('"run"') == 1


def test_findings_add_keys_to_the_json_and_keep_the_others(command_line: CommandLine, stuck: RunRecord) -> None:
    answer = json.loads(command_line("show", "stuck", "--json")[1])
    assert (answer["state"], answer["outcome"]) == ("finished", "no better than guessing")
    assert answer["findings"] == [STUCK.as_dict()]
    assert answer["notices"] == []


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        RunConfig(dataset="digits", shuffle=False, nesterov=True, optimizer="sgd", init_from="abc"),
        RunConfig(arch="lenet-bn", arch_options={"widths": [6, 16], "batch_norm": False, "dropout": 0.25}),
        RunConfig(arch="wide-cnn", arch_options={"hidden": [128]}),
    ],
)
def test_the_flags_of_a_remedy_are_parsed_into_its_configuration(config: RunConfig) -> None:
    @click.command()
    @config_options
    def read(**flags: object) -> RunConfig:
        return build_config(None, flags)

    for remedy in ({"lr": 1e-3}, {"patience": 5, "restore_best": True}, {"output": "log-softmax"}):
        words = shlex.split(train_flags(config, remedy))
        assert read.main(words, standalone_mode=False) == config.replace(**remedy)


def test_a_remedy_equal_to_the_default_is_still_printed(stuck: RunRecord) -> None:
    lines = list(finding_lines(stuck))
    assert lines[1].endswith("--lr 0.001")
