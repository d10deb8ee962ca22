"""Cost of a process's first network, computed or on torch's meta device: `python -m benchmarks.first_network`.

Fresh processes take turns to build LeNet-5, list its layers and choose a batch size, as Draw and `predict` do before
their first answer, after importing what a server has imported by then. Prints the processor seconds and the added
memory.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks.markdown_tables import heading, row
from benchmarks.quartiles import write_quartiles

CHECKOUT = Path(__file__).resolve().parents[1]
_WAYS = {"meta": "on the meta device", "computed": "with a computed image"}
_FIRST = """
import json, sys, time, psutil, torch
from lab.architectures import shapes
from lab.architectures.build import build_network
from lab.architectures.inference_batches import inference_batch_size
from lab.inspection.observe import list_layers
if sys.argv[1] == "meta":
    shapes._COMPUTED = -1
memory, start = psutil.Process().memory_info().rss, time.process_time()
network = build_network("lenet5")
list_layers(network, image_size=28)
inference_batch_size(network, images=100, image_shape=(1, 28, 28))
print(json.dumps([time.process_time() - start, (psutil.Process().memory_info().rss - memory) / 1e6]))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    measured: dict[str, list[tuple[float, float]]] = {way: [] for way in _WAYS}
    for _ in range(options.rounds):
        for way, found in measured.items():
            done = subprocess.run(
                [sys.executable, "-c", _FIRST, way], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True
            )
            found.append(tuple(json.loads(done.stdout)))
    print(heading("how the layers are inspected", "processor time, s", "memory, MB", "n"))
    for way, found in measured.items():
        seconds, megabytes = zip(*found, strict=True)
        print(row(_WAYS[way], write_quartiles(seconds, 2), write_quartiles(megabytes, 0), len(found)))


if __name__ == "__main__":
    main()
