"""`executors.toml`: each rule at its limits with the message of each refusal; and what Slurm's state codes mean."""

import ast
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lab.errors import ConfigError
from lab.executors.base import JobState
from lab.executors.config import (
    MAX_JOBS,
    TITLES,
    Executors,
    RayConfig,
    SlurmConfig,
    parse_executors,
    read_executors,
    title_of,
)
from lab.executors.slurm import _status
from lab.settings import CHECKOUT, Settings

ADDRESS = {"address": "http://10.0.0.1:8265"}
ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("slurm", {}),
    (
        "slurm",
        {"options": ["--partition=gpu"], "python": "/opt/python", "cpus": 1024, "gpus": 64, "jobs": 1, "warning_s": 1},
    ),
    ("slurm", {"cpus": 1, "gpus": 0, "jobs": MAX_JOBS, "warning_s": 65_535, "options": []}),
    ("ray", {**ADDRESS, "jobs": 0, "token": "t", "environment": {"A": "b"}}),
    ("ray", {"address": "https://ray.example", "jobs": MAX_JOBS, "cpus": 2, "gpus": 1, "environment": {}}),
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"slrum": {}}, "there is no executor 'slrum'. Did you mean 'slurm'?"),
    ({"slurm": 3}, "slurm is '3', but it must be a section [slurm]."),
    ({"slurm": {"cpu": 1}}, "[slurm] has no 'cpu'. Did you mean 'cpus'?"),
    ({"ray": {}}, "[ray] has no address: add it."),
    ({"ray": {"address": ""}}, "[ray] has no address: add it."),
    ({"ray": {"address": 1}}, "address in [ray] is '1', but it must be an http or https address."),
    ({"ray": {"address": "ftp://x"}}, "address in [ray] is 'ftp://x', but it must be an http or https address."),
    ({"slurm": {"cpus": 0}}, "cpus in [slurm] is '0', but it must be a whole number from 1 to 1024."),
    ({"slurm": {"cpus": 1025}}, "cpus in [slurm] is '1025', but it must be a whole number from 1 to 1024."),
    ({"slurm": {"cpus": 1.0}}, "cpus in [slurm] is '1.0', but it must be a whole number from 1 to 1024."),
    ({"slurm": {"cpus": True}}, "cpus in [slurm] is 'True', but it must be a whole number from 1 to 1024."),
    ({"slurm": {"gpus": -1}}, "gpus in [slurm] is '-1', but it must be a whole number from 0 to 64."),
    ({"slurm": {"gpus": 65}}, "gpus in [slurm] is '65', but it must be a whole number from 0 to 64."),
    ({"slurm": {"jobs": 0}}, "jobs in [slurm] is '0', but it must be a whole number from 1 to 10000."),
    ({"slurm": {"jobs": 10_001}}, "jobs in [slurm] is '10001', but it must be a whole number from 1 to 10000."),
    ({"ray": {**ADDRESS, "jobs": 10_001}}, "jobs in [ray] is '10001', but it must be a whole number from 0 to 10000."),
    ({"ray": {**ADDRESS, "jobs": -1}}, "jobs in [ray] is '-1', but it must be a whole number from 0 to 10000."),
    (
        {"slurm": {"warning_s": 0}},
        "warning_s in [slurm] is '0', but it must be a whole number of seconds from 1 to 65535.",
    ),
    (
        {"slurm": {"warning_s": 65_536}},
        "warning_s in [slurm] is '65536', but it must be a whole number of seconds from 1 to 65535.",
    ),
    ({"slurm": {"options": "--x"}}, "options in [slurm] is '--x', but it must be a list of strings."),
    ({"slurm": {"options": ["a", 1]}}, "options in [slurm] is \"['a', 1]\", but it must be a list of strings."),
    ({"slurm": {"python": 3}}, "python in [slurm] is '3', but it must be text."),
    (
        {"ray": {**ADDRESS, "environment": {"A": 1}}},
        "environment in [ray] is \"{'A': 1}\", but it must be a table of strings.",
    ),
    (
        {"ray": {**ADDRESS, "environment": ["A"]}},
        "environment in [ray] is \"['A']\", but it must be a table of strings.",
    ),
]


@pytest.mark.parametrize(("name", "values"), ACCEPTED)
def test_values_at_the_limits_of_every_rule_are_accepted_and_read_back(name: str, values: dict[str, Any]) -> None:
    found = parse_executors({name: values})
    section = getattr(found, name)
    assert {key: getattr(section, key) for key in values} == {
        key: tuple(value) if key == "options" else value for key, value in values.items()
    }
    assert found.ids == (name,)
    assert (section.cpus, section.gpus) == (values.get("cpus", 1), values.get("gpus", 0))
    assert found.most_jobs(name) == (values.get("jobs", 64 if name == "slurm" else 0) or MAX_JOBS)
    assert found.most_jobs("ray" if name == "slurm" else "slurm") == 0


@pytest.mark.parametrize(("values", "words"), REFUSED)
def test_a_value_that_breaks_a_rule_is_refused_with_the_rule(
    tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_executors(values)
    assert str(caught.value) == words


def test_a_file_that_cannot_be_read_is_named_in_the_error(tmp_path: Path) -> None:
    settings, path = Settings.from_env({"LAB_HOME": str(tmp_path)}), tmp_path / "executors.toml"
    assert read_executors(settings) == Executors()
    for text, words in (
        ("[slurm", "is not valid TOML"),
        ("[slurm]\ncpus = 0", "cpus in"),
        ("\udcff", "is not UTF-8 text"),
    ):
        path.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(ConfigError, match=words) as caught:
            read_executors(settings)
        assert str(path) in str(caught.value)


def test_an_executor_is_found_by_its_name_and_has_a_title() -> None:
    both = Executors(SlurmConfig(), RayConfig("http://x"))
    assert [both.check(name) for name in ("", "local", "slurm", "ray")] == ["", "", "slurm", "ray"]
    assert [title_of(name) for name in ("", "local", "slurm", "ray", "other")] == [
        "this lab's slots",
        "this lab's slots",
        "Slurm",
        "Ray",
        "other",
    ]
    with pytest.raises(ConfigError, match=r"no executor 'slurn'. Did you mean 'slurm'\?"):
        both.check("slurn")
    with pytest.raises(ConfigError, match=r"This lab has no Ray: add a section \[ray\] to executors.toml in its home"):
        Executors(SlurmConfig()).check("ray")


# squeue(1), JOB STATE CODES.
WORDS = {
    JobState.PENDING: "PENDING CONFIGURING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT SUSPENDED",
    JobState.RUNNING: "RUNNING COMPLETING RESIZING SIGNALING STAGE_OUT STOPPED",
    JobState.CANCELLED: "CANCELLED CANCELLED+",
    JobState.ENDED: (
        "COMPLETED FAILED TIMEOUT NODE_FAIL OUT_OF_MEMORY PREEMPTED BOOT_FAIL DEADLINE REVOKED LAUNCH_FAILED"
    ),
}


@pytest.mark.parametrize("state", WORDS)
def test_each_state_code_of_slurm_is_mapped_to_a_job_state(state: JobState) -> None:
    for word in WORDS[state].split():
        assert (_status(word, "None").state, _status(word, "").words, _status(word, "Why").words) == (
            state,
            word,
            f"{word}, Why",
        )
    assert state.over == (state not in (JobState.PENDING, JobState.RUNNING))


def test_the_id_of_an_executor_is_written_once_as_the_field_of_its_configuration() -> None:
    found = [
        (str(path.relative_to(CHECKOUT)), node.value)
        for folder in ("lab", "pages")
        for path in (CHECKOUT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in TITLES
    ]
    assert found == []
    assert list(TITLES) == [each.name for each in fields(Executors)] == ["slurm", "ray"]
