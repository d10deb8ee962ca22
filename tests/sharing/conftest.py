"""One lab with two finished runs for all tests of this folder; one thread, which is faster on a busy machine."""

from collections.abc import Iterator

import pytest

from lab.runs.records import RunRecord
from lab.service.lab import Lab
from tests.sharing.sharing_runs import open_lab, train_run
from tests.torch_threads import single_thread


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    with single_thread():
        yield


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return open_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def run(lab: Lab) -> RunRecord:
    return train_run(lab, name="first", tags=("report-c",))


@pytest.fixture(scope="session")
def pair(lab: Lab, run: RunRecord) -> tuple[RunRecord, RunRecord]:
    return run, train_run(lab, name="=1+1 <b>second</b>", lr=0.01)
