"""A network that does not fit into memory ends its run with a message, and the worker goes on."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import resource
import sys
import threading
import psutil
from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.execution import execute

lab = Lab(Settings.from_env({"LAB_HOME": sys.argv[1]}))
small = RunConfig(arch="custom", arch_options={"layers": "linear 4"}, dataset="digits", device="cpu", max_steps=2)
large = small.replace(arch_options={"layers": "linear 16384, linear 16384, linear 16384"})  # 2 GB of weights
for config in (small, large, small.replace(seed=1)):
    run = lab.submissions.submit(lab.validation.resolve(config)).run
    claimed = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    execute(lab, claimed, ending=threading.Event())
    ended = lab.store.runs.get(run.id)
    print(ended.state.value, ended.reason)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + 600_000_000, resource.RLIM_INFINITY))
"""


def test_a_network_that_is_too_large_for_the_memory_fails_with_the_way_out(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "home")], capture_output=True, text=True, check=True, timeout=300
    )
    first, second, third = done.stdout.splitlines()
    assert first == third == "finished "
    assert second == (
        "failed There is not enough memory for this network and its optimizer: choose a smaller network, input size or "
        "another device."
    )
