"""How many threads a run computes with on a CPU.

A step of a small network is over before a second thread has been woken: LeNet-5 at batch 16 took 7.7 ms a step with one
thread and 25.5 ms with two, and a third of the processor time (docs/benchmarks.md, "First minute").
"""

from lab.config import RunConfig
from lab.network_counts import count_from_config
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
    small = SMALL_STEP_OF_TWO if usual <= 2 else SMALL_STEP
    mult_adds = count_from_config(config).total_mult_adds
    return 1 if mult_adds * config.batch_size <= small else usual
