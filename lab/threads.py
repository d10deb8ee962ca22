"""How many threads a run uses on a CPU.

A step of a small network is finished before a second thread has woken up: LeNet-5 at batch 16 took 7.7 ms per step with
one thread and 25.5 ms with two, at a third of the processor time (docs/benchmarks.md, "First minute").
"""

from lab.config import RunConfig
from lab.network_counts import count_from_config
from lab.training.checkpoint import Checkpoint

SMALL_STEP = 24_000_000  # mult-adds of a batch's forward pass up to which one thread is faster
SMALL_STEP_OF_TWO = 40_000_000  # the same limit for two cores, of which the page and its browser need one


def threads_for(config: RunConfig, *, usual: int, resume: Checkpoint | None = None) -> int:
    """Return the number of threads: one for small steps, else `usual`. usual: the process's default.

    A resumed run keeps its previous number if that is one of the two; otherwise its results would not be bit-identical.
    """
    saved = resume.environment.get("threads") if resume else None
    if saved in (1, usual):
        return int(saved)
    small = SMALL_STEP_OF_TWO if usual <= 2 else SMALL_STEP
    mult_adds = count_from_config(config).total_mult_adds
    return 1 if mult_adds * config.batch_size <= small else usual
