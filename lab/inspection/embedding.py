"""The last hidden layer of many images, flattened to two dimensions for the eye.

The features are the inputs of the last linear layer. Projections of different epochs are rotated onto each other
(orthogonal Procrustes), so that a picture scrubbed through training moves instead of jumping.
"""

import numpy as np

from lab.errors import InputError

PROJECTIONS = ("pca", "tsne")
_PERPLEXITY = 30.0  # neighbours t-SNE tries to keep (van der Maaten, Hinton 2008 suggest 5 to 50)
_PCA_FIRST = 50  # dimensions left for t-SNE, as its authors do


def project(features: np.ndarray, *, method: str = "pca", seed: int = 0) -> np.ndarray:
    """Return points float64 (N, 2), centred, with the larger coordinate at 1; raises `InputError`.

    "pca" is exact and fast; "tsne" (scikit-learn, started from PCA) keeps neighbours together and takes seconds.
    """
    if method not in PROJECTIONS:
        raise InputError(f"The projection is {method!r}, but it must be one of: {', '.join(PROJECTIONS)}.")
    if len(features) < 3:
        raise InputError(f"There are {len(features)} images, but a map of them needs at least 3.")
    if not np.isfinite(features).all():
        raise InputError("The network's activations are not finite numbers here: choose an earlier epoch.")
    points = _pca(features, 2) if method == "pca" else _tsne(features, seed=seed)
    largest = np.abs(points).max()
    return np.asarray(points / largest if largest > 0 else points)


def _pca(features: np.ndarray, dimensions: int) -> np.ndarray:
    """Return the leading principal components (N, dimensions), zero where the features have fewer."""
    from sklearn.decomposition import PCA  # 0.5 s to import, so only when asked for

    present = min(dimensions, *features.shape)
    with np.errstate(invalid="ignore"):  # of equal points: their variance has no shares
        points = PCA(present, svd_solver="full").fit_transform(features.astype(np.float64))
    return np.pad(points, ((0, 0), (0, dimensions - present)))


def _tsne(features: np.ndarray, *, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    reduced = _pca(features, _PCA_FIRST) if features.shape[1] > _PCA_FIRST else features.astype(np.float64)
    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    with threadpool_limits(1):  # its threads wait by spinning: beside a training they are slower than one
        points = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return np.asarray(points - points.mean(axis=0), np.float64)


def align(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Rotate or reflect points (N, 2) so that they lie as near to the reference as can be; distances stay."""
    from scipy.linalg import orthogonal_procrustes

    centred = points - points.mean(axis=0)
    rotation, _ = orthogonal_procrustes(centred, reference - reference.mean(axis=0))
    return np.asarray(centred @ rotation)
