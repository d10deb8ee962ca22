"""How often a worker that trains asks the store and writes to it: the more of them train, the more seldom each does."""

from dataclasses import dataclass

from lab.runs import pace
from lab.runs.rows import RENEW_S

OLDEST_S = 2.0  # the store's points are at most this old, however many train


@dataclass
class TrainingPace:
    """Shared by the parts of one worker. training: how many runs are in training, as the heartbeat counted them last."""

    training: int = 1

    def request_s(self, least_s: float) -> float:
        """Return how often the requested state is read, which the heartbeat brings as well; `least_s` where few train."""
        most_s = max(least_s, RENEW_S)
        return pace.interval_s(least_s, askers=self.training, a_second=pace.REQUESTS_A_SECOND, most_s=most_s)

    def flush_s(self, least_s: float) -> float:
        """Return how often points are written, `least_s` where few train."""
        most_s = max(least_s, OLDEST_S)
        return pace.interval_s(least_s, askers=self.training, a_second=pace.FLUSHES_A_SECOND, most_s=most_s)
