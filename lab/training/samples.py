"""The few test images whose predictions are reported while a run trains: one per class.

An evaluation of the test set has their outputs anyway; between evaluations they are computed a few times per second.
"""

import numpy as np

START_IMAGES = 1_000  # of each set, evaluated before training for the first point of the curves; not a result
MAX_SAMPLES = 10  # images: about as many as a user can follow

Answer = tuple[int, float]  # class and its probability


def sample_images(labels: np.ndarray) -> tuple[int, ...]:
    """Return the index of the first test image of each class, in the order of the classes, at most `MAX_SAMPLES`.

    labels: int64 (N,) of the test set. Only images that are also evaluated before training are used.
    """
    classes, first = np.unique(labels[:START_IMAGES], return_index=True)
    return tuple(int(index) for _, index in sorted(zip(classes, first, strict=True))[:MAX_SAMPLES])


def most_probable(logits_BK: np.ndarray) -> tuple[Answer, ...]:
    """Return the most probable class of each image with its probability; empty if there is no image or an output is not finite."""
    if not logits_BK.size or not np.isfinite(logits_BK).all():
        return ()
    shares = np.exp(logits_BK.astype(np.float64) - logits_BK.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return tuple((int(row.argmax()), _rounded(float(row.max()))) for row in shares)


def _rounded(share: float) -> float:
    """Return a share rounded to four digits; a share below 1 stays below 1, as in `format_percent`."""
    return min(round(share, 4), 0.9999) if share < 1 else share
