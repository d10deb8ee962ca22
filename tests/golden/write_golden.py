"""Writes the golden files of a release: a store with its artifacts, a bundle, links and their expected content.

Run it once per release, with the code of that release: `python -m tests.golden.write_golden tests/golden/VERSION`.
The files represent those on users' disks; `tests/golden/test_golden.py` opens them with the current code.
"""

import gzip
import io
import json
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from lab import __version__
from lab.config import RunConfig
from lab.runs.leases import Leases
from lab.runs.owner import Owner
from lab.runs.points import Points
from lab.runs.records import RunRecord, RunRequest
from lab.service.forks import find_fork_point, fork_config
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sharing.bundle.read import import_bundle
from lab.sharing.bundle.write import write_bundle
from lab.sweeps.spec import read_spec
from lab.worker.execution import execute
from tests.golden.facts import run_facts, sweep_facts
from tests.sweeps.sweep_runs import work_once

TINY: dict[str, Any] = {
    "arch": "basic-cnn",
    "arch_options": {"widths": [2, 4], "hidden": 8, "dropout": 0.25},
    "dataset": "digits",
    "train_limit": 400,
    "batch_size": 32,
    "epochs": 2,
    "optimizer": "sgd",
    "lr": 0.05,
    "device": "cpu",
}


class _PausingPoints(Points):
    """Requests a pause once a run has passed a step, so that it stops inside an epoch."""

    pause_after = 0

    def append(self, run: str, lease: int, points: Any, *, progress: Any = None) -> RunRequest:
        request = super().append(run, lease, points, progress=progress)
        if self.pause_after and progress and progress.get("step", 0) >= self.pause_after:
            Leases(self.context).request(run, RunRequest.PAUSE)
        return request


def _train(lab: Lab, config: RunConfig, **more: Any) -> RunRecord:
    run = lab.submissions.submit(lab.validation.resolve(config), **more).run
    claimed = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert claimed is not None
    assert claimed.id == run.id
    execute(lab, claimed, ending=threading.Event())
    return lab.store.runs.get(run.id)


def _start_sweep(lab: Lab, name: str, *, trials: int) -> str:
    base = {**TINY, "val_fraction": 0.2}
    space = {"lr": {"low": 1e-3, "high": 1e-1, "log": True}, "momentum": {"values": [0.0, 0.5, 0.9]}}
    halving = {"factor": 2, "first_epochs": 1}
    spec = read_spec(
        {"name": name, "base": base, "space": space, "method": "random", "trials": trials, "halving": halving}
    )
    return lab.sweeps.create(spec).sweep.id


def _fill(lab: Lab) -> dict[str, str]:
    """Create one run of each kind that users have, and return their ids by kind."""
    base = RunConfig(**TINY)
    finished = _train(lab, base, name="tiny two epochs", tags=("golden", "tiny"))
    lab.store.edits.set_note(finished.id, "The first run.\nTwo lines.")
    lab.store.edits.set_pinned(finished.id, True)
    one_cycle = _train(
        lab,
        base.replace(optimizer="adam", lr=0.01, schedule="one-cycle", label_smoothing=0.1, augment="light", seed=3),
    )
    second_seed = _train(lab, base.replace(seed=1), tags=("golden",))
    early = _train(lab, base.replace(epochs=4, patience=1, min_delta=10.0, restore_best=True), name="early stopping")
    diverged = _train(lab, base.replace(loss="nll", output="logits", lr=0.5, max_steps=20), name="diverged")
    tuned = _train(lab, base.replace(init_from=finished.id, lr=0.001), name="fine-tuned")
    pausing = _PausingPoints(lab.store.context)
    pausing.pause_after = 600
    lab.store.points = pausing
    paused = _train(lab, base.replace(epochs=300, batch_size=16, schedule="step", momentum=0.5), name="paused")
    pausing.pause_after = 0
    assert paused.state == "paused", paused.state
    deleted = _train(lab, base.replace(epochs=1), name="deleted")
    lab.store.removal.delete(deleted.id)
    fork = _train(lab, fork_config(find_fork_point(lab.store, finished, 1), lr=0.01), name="forked")
    searched = _start_sweep(lab, "searched", trials=2)
    for _ in range(3):  # one trial continues to its second epoch
        work_once(lab)
    lab.sweeps.advance_due()
    halfway = _start_sweep(lab, "half way", trials=4)
    for _ in range(2):
        work_once(lab)
    lab.sweeps.advance_due()
    lab.sweeps.pause(halfway)
    queued = lab.submissions.submit(
        lab.validation.resolve(base.replace(arch="lenet5", arch_options={"widths": [2, 3]}, epochs=1)),
        name="queued",
        owner="ann",
        priority=3,
    ).run
    ids = {
        "finished": finished.id,
        "one_cycle": one_cycle.id,
        "second_seed": second_seed.id,
        "early_stopped": early.id,
        "diverged": diverged.id,
        "fine_tuned": tuned.id,
        "paused": paused.id,
        "deleted": deleted.id,
        "fork": fork.id,
        "sweep_searched": searched,
        "sweep_halfway": halfway,
        "queued": queued.id,
    }
    for label, end in (("1", (140, 240)), ("7", (120, 240))):
        picture = Image.new("L", (280, 280))
        ImageDraw.Draw(picture).line([(150, 40), end], fill=255, width=22)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        ids[f"sketch_{label}"] = lab.store.sketches.save(buffer.getvalue(), label=label, dataset="digits").id
    return ids


def _expected(lab: Lab, ids: dict[str, str]) -> dict[str, Any]:
    """Return the facts that later releases must still read from the store."""
    lab.store.removal.undelete(ids["deleted"])  # points and files of deleted runs cannot be read
    runs = {kind: run_facts(lab, id) for kind, id in ids.items() if not kind.startswith(("sketch_", "sweep_"))}
    lab.store.removal.delete(ids["deleted"])
    return {
        "release": __version__,
        "torch": torch.__version__,
        "runs": runs,
        "sweeps": {kind: sweep_facts(lab, id) for kind, id in ids.items() if kind.startswith("sweep_")},
        "sketches": [[s.id, s.label, s.dataset] for s in lab.store.sketches.list()],
    }


def _logits(lab: Lab, ids: dict[str, str]) -> dict[str, list[str]]:
    """Return the logits of each finished run's best weights for the first test image."""
    x = lab.datasets.load("digits").test_images[:1]
    found = {}
    for kind in ("finished", "one_cycle", "early_stopped", "fine_tuned", "fork"):
        loaded = lab.weights.load(ids[kind])
        images = torch.from_numpy(np.asarray(x)).reshape(1, 1, 28, 28).float() / 255
        with torch.no_grad():
            logits = loaded.network((images - loaded.mean) / loaded.std)[0]
        found[kind] = [value.hex() for value in logits.double().tolist()]
    return found


def _links(ids: dict[str, str]) -> list[dict[str, str]]:
    """Return addresses that users may have saved, and a text that each of the pages must show."""
    run, other, paused = ids["finished"], ids["one_cycle"], ids["paused"]
    return [
        {"address": "/", "shows": "ConvLab"},
        {"address": f"/train?run={run}", "shows": "tiny two epochs"},
        {"address": f"/train?run={paused}", "shows": "paused"},
        {"address": f"/runs?runs={run}.{other}", "shows": "tiny two epochs"},
        {"address": f"/runs?runs={run}.{other}&look=differences", "shows": "Differences"},
        {"address": f"/runs?runs={run}.{other}&smooth=0.9&logx=1&x=epoch&curves=loss", "shows": "tiny two epochs"},
        {"address": f"/runs?runs={run}.{other}.{ids['second_seed']}&look=groups&by=optimizer", "shows": "Groups"},
        {"address": f"/runs?runs={run}.{other}&look=parallel", "shows": "Parallel coordinates"},
        {"address": f"/runs?runs={run}.{other}&look=pareto&cost=params", "shows": "Pareto front"},
        {"address": "/runs?q=tag:golden&sort=-test", "shows": "tiny two epochs"},
        {"address": "/runs?q=arch:basic* lr<0.1 state:finished&sort=lr", "shows": "tiny two epochs"},
        {"address": "/runs?show=reports&report=D", "shows": "Seven networks"},
        {"address": "/architecture?arch=basic-cnn&batch=32&view=graph", "shows": "Graph"},
        {"address": "/architecture?arch=lenet5&view=layers&size=64", "shows": "Layers"},
        {"address": f"/inside?run={run}&epoch=1&view=kernels", "shows": "Kernels"},
        {"address": f"/inside?run={run}&epoch=2&view=maps&source=test&image=5", "shows": "Feature maps"},
        {"address": f"/inside?run={run}&view=why&source=drawing&drawing={ids['sketch_7']}", "shows": "Attribution"},
        {"address": f"/inside?run={other}&view=answers&epoch=0", "shows": "Evaluation"},
        {"address": f"/runs?runs={run}.{other}&look=verdict&colours=1.0", "shows": "Not enough runs"},
        {"address": f"/runs?runs={run}.{ids['fork']}&look=tree", "shows": "Lineage"},
        {"address": "/runs?q=owner:ann&sort=newest", "shows": "queued"},
        {"address": f"/train?run={ids['fork']}", "shows": "Forked from"},
        {"address": "/train?arch=lenet-bn&dataset=digits&epochs=3&lr=0.002", "shows": "padded instead of resized"},
        {"address": "/sweeps", "shows": "half way"},
        {"address": f"/sweeps?sweep={ids['sweep_halfway']}", "shows": "half way"},
        {"address": f"/sweeps?sweep={ids['sweep_searched']}", "shows": "searched"},
        {"address": "/machines", "shows": "Machines"},
        {"address": f"/inside?run={run}&epoch=1&view=network", "shows": "Whole network"},
        {"address": f"/inside?run={run}&view=hand&image=3", "shows": "One value"},
        {"address": f"/inside?run={run}&view=map", "shows": "Embedding"},
        {"address": f"/draw?runs={run}.{other}&view=Why", "shows": "tiny two epochs"},
        {"address": f"/draw?runs={run},{other}", "shows": "tiny two epochs"},
        {"address": f"/draw?run={run}", "shows": "tiny two epochs"},
    ]


def _write(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(target: Path) -> None:
    """Write everything into `target`, which must not exist yet."""
    target.mkdir(parents=True)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        lab = Lab(Settings.from_env({"LAB_HOME": str(home)}))
        ids = _fill(lab)
        bundle = write_bundle(lab, [lab.store.runs.get(ids[k]) for k in ("finished", "one_cycle", "diverged")])
        (target / "bundle.zip").write_bytes(bundle)
        (imported,) = import_bundle(lab, io.BytesIO(write_bundle(lab, [lab.store.runs.get(ids["second_seed"])])))
        ids["imported"] = imported.id
        _write(target / "expected.json", {**_expected(lab, ids), "logits": _logits(lab, ids), "ids": ids})
        _write(target / "links.json", _links(ids))
        (database,) = home.glob("*.db")
        lab.store.close()
        (target / f"{database.name}.gz").write_bytes(gzip.compress(database.read_bytes(), mtime=0))
        shutil.copytree(home / "artifacts", target / "artifacts")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(Path(sys.argv[1]))
