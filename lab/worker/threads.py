"""How many threads a run computes with on a CPU.

A step of a small network is over before a second thread has been woken: LeNet-5 at batch 16 took 7.7 ms a step with one
thread and 25.5 ms with two, and a third of the processor time (docs/benchmarks.md, "First minute").
"""

import json
from functools import lru_cache

from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.inspection.summary import count_mult_adds
from lab.networks import build_on_meta
from lab.training.checkpoint import Checkpoint

SMALL_STEP = 24_000_000  # mult-adds of a batch, forward, up to which one thread is faster
SMALL_STEP_OF_TWO = 40_000_000  # the same of two threads: with two cores, the page and its browser need one of them


def threads_for(config: RunConfig, *, usual: int, resume: Checkpoint | None = None) -> int:
    """Return the number of threads: one for small steps, else `usual`, this process's own.

    A run that goes on keeps the number it had where that is one of the two: only so are its bits the same.
    """
    saved = resume.environment.get("threads") if resume else None
    if saved in (1, usual):
        return int(saved)
    mult_adds = _mult_adds(config.arch, config.dataset, config.input_size, json.dumps(config.arch_options))
    small = SMALL_STEP_OF_TWO if usual <= 2 else SMALL_STEP
    return 1 if mult_adds * config.batch_size <= small else usual


@lru_cache(maxsize=256)
def _mult_adds(arch: str, dataset: str, input_size: str, options: str) -> int:
    """Return the mult-adds of one image, counted once for all runs of a network: a sweep's trials are hundreds of them."""
    config = RunConfig(arch=arch, dataset=dataset, input_size=input_size, arch_options=json.loads(options))
    return count_mult_adds(build_on_meta(config), input_shape=(1, *get_dataset_spec(dataset).image_shape))
