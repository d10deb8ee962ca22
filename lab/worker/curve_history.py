"""All points of a run in memory, from which its findings are computed."""

from collections import defaultdict

import numpy as np

from lab.diagnosis.curves import Points


class CurveHistory:
    """The points of each curve, added in pieces and concatenated when they are read."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)

    def add(self, name: str, step: np.ndarray, value: np.ndarray) -> None:
        """Append points (N,) to a curve."""
        self._parts[name].append((step, value))

    def replace(self, name: str, step: np.ndarray, value: np.ndarray) -> None:
        """Replace all points of a curve by these (N,)."""
        self._parts[name] = [(step, value)]

    def read(self) -> dict[str, Points]:
        """Return all points of every curve."""
        curves = {}
        for name, parts in self._parts.items():
            step, value = (np.concatenate(column) for column in zip(*parts, strict=True))
            self._parts[name], curves[name] = [(step, value)], Points(step, value)
        return curves
