"""How often a worker reads from and writes to the store while it trains: less often the more runs are in training."""

from dataclasses import dataclass

from lab.runs import pace
from lab.runs.rows import RENEW_S

OLDEST_S = 2.0  # largest delay of points in the store, no matter how many runs are in training


@dataclass
class TrainingPace:
    """Intervals shared by the parts of one worker. training: the heartbeat's latest count of runs in training."""

    training: int = 1

    def request_s(self, least_s: float) -> float:
        """Return the interval for reading the requested state: `least_s` if few runs are in training."""
        most_s = max(least_s, RENEW_S)
        return pace.interval_s(least_s, askers=self.training, a_second=pace.REQUESTS_A_SECOND, most_s=most_s)

    def flush_s(self, least_s: float) -> float:
        """Return the interval for storing points: `least_s` if few runs are in training."""
        most_s = max(least_s, OLDEST_S)
        return pace.interval_s(least_s, askers=self.training, a_second=pace.FLUSHES_A_SECOND, most_s=most_s)
