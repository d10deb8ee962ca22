"""All points of a run in memory, as its findings are made from them."""

from collections import defaultdict

import numpy as np

from lab.diagnosis.curves import Points


class CurveHistory:
    """Points of each curve, added in pieces and joined when they are read."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)

    def add(self, name: str, step: np.ndarray, value: np.ndarray) -> None:
        """Add points (N,) behind those of a curve."""
        self._parts[name].append((step, value))

    def replace(self, name: str, step: np.ndarray, value: np.ndarray) -> None:
        """Give a curve these points (N,) and no others."""
        self._parts[name] = [(step, value)]

    def read(self) -> dict[str, Points]:
        """Return every curve as a whole."""
        curves = {}
        for name, parts in self._parts.items():
            step, value = (np.concatenate(column) for column in zip(*parts, strict=True))
            self._parts[name], curves[name] = [(step, value)], Points(step, value)
        return curves
