"""The few test images whose predictions are reported while a run trains: one per class, from the run's evaluations.

Nothing extra is computed for them, because an evaluation has their outputs anyway.
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


def sample_answers(logits_NK: np.ndarray, labels: np.ndarray) -> tuple[Answer, ...]:
    """Return the most probable class of each sample image with its probability.

    Empty if an output is not finite, or if there are no test images. logits_NK: of the first N test images, which must
    include those of `sample_images`.
    """
    chosen = logits_NK[list(sample_images(labels))].astype(np.float64)
    if not chosen.size or not np.isfinite(chosen).all():
        return ()
    shares = np.exp(chosen - chosen.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return tuple((int(row.argmax()), _rounded(float(row.max()))) for row in shares)


def _rounded(share: float) -> float:
    """Return a share rounded to four digits; a share below 1 stays below 1, as in `format_percent`."""
    return min(round(share, 4), 0.9999) if share < 1 else share
