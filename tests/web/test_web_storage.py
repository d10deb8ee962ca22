"""Storage on Runs: the size of the runs, and the permanent removal of deleted ones."""

import pytest
from streamlit.testing.v1 import AppTest

from lab.errors import RunNotFoundError
from lab.runs.records import SavedFile
from tests.web.addresses import ENTRY, go_to
from tests.web.web_data import Bench


def test_deleted_runs_are_permanently_removed_with_their_files(bench: Bench) -> None:
    run = bench.start()
    path = f"{run.id}/1.safetensors"
    sha256, size = bench.lab.artifacts.write(path, bytes(2_500_000))
    bench.lab.store.files.add(run.id, run.lease, SavedFile(run.id, "weights", 1, 1, path, sha256, size, 1.0))
    bench.finish(run)
    bench.lab.store.removal.delete(run.id)
    app = AppTest.from_file(str(ENTRY), default_timeout=300).run()
    app.session_state["storage"] = True
    go_to(app, "runs").run()
    metrics = {metric.label: metric.value for metric in app.metric}
    assert (metrics["Weights and checkpoints"], metrics["Of deleted runs"]) == ("0.0 kB", "2.50 MB")
    app.button(key="storage-purge").click().run()
    assert not app.exception, [each.value for each in app.exception]
    with pytest.raises(RunNotFoundError):
        bench.lab.store.runs.get(run.id, deleted=True)
    assert not (bench.lab.settings.home / "artifacts" / path).exists()
    assert {metric.label: metric.value for metric in app.metric}["Of deleted runs"] == "0.0 kB"
