"""Projects the last hidden layer's features of many images to two dimensions.

The features are the inputs of the last linear layer. Projections of different epochs are rotated onto each other
(orthogonal Procrustes), so that points move smoothly from epoch to epoch.
"""

import numpy as np

from lab.errors import InputError

PROJECTIONS = ("pca", "tsne")
_PERPLEXITY = 30.0  # effective number of neighbours (van der Maaten, Hinton 2008 suggest 5 to 50)
_SEED = 0  # t-SNE draws from it, so that equal features give equal points
_PCA_FIRST = 50  # PCA reduces the features to this many dimensions before t-SNE, as in the paper


def project(features: np.ndarray, *, method: str = "pca") -> np.ndarray:
    """Return points float64 (N, 2), centred and scaled so that the largest absolute coordinate is 1.

    "pca" is exact and fast; "tsne" (scikit-learn, initialised with PCA) keeps neighbours together and takes seconds.
    Raises `InputError` for an unknown method, fewer than 3 images, or features that are not finite.
    """
    if method not in PROJECTIONS:
        raise InputError(f"The projection is {method!r}, but it must be one of: {', '.join(PROJECTIONS)}.")
    if len(features) < 3:
        raise InputError(f"There are {len(features)} images, but a map of them needs at least 3.")
    if not np.isfinite(features).all():
        raise InputError("The network's activations are not finite: choose an earlier epoch.")
    points = _pca(features, 2) if method == "pca" else _tsne(features)
    largest = np.abs(points).max()
    return np.asarray(points / largest if largest > 0 else points)


def _pca(features: np.ndarray, dimensions: int) -> np.ndarray:
    """Return the leading principal components (N, dimensions), padded with zeros if the features have fewer."""
    from sklearn.decomposition import PCA  # takes 0.5 s to import

    present = min(dimensions, *features.shape)
    with np.errstate(invalid="ignore"):  # if all points are equal, the explained variance ratio is 0 / 0
        points = PCA(present, svd_solver="full").fit_transform(features.astype(np.float64))
    return np.pad(points, ((0, 0), (0, dimensions - present)))


def _tsne(features: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    reduced = _pca(features, _PCA_FIRST) if features.shape[1] > _PCA_FIRST else features.astype(np.float64)
    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    with threadpool_limits(1):  # its threads busy-wait: next to a training they are slower than a single one
        points = TSNE(perplexity=perplexity, init="pca", random_state=_SEED).fit_transform(reduced)
    return np.asarray(points - points.mean(axis=0), np.float64)


def align(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return points (N, 2) rotated or reflected to lie as close to the reference as possible; distances are kept."""
    from scipy.linalg import orthogonal_procrustes

    centred = points - points.mean(axis=0)
    rotation, _ = orthogonal_procrustes(centred, reference - reference.mean(axis=0))
    return np.asarray(centred @ rotation)
