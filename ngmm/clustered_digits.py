"""Handwritten digits as several scanners would show them: images in clusters.

The images are those of Alpaydin and Kaynak (1998, UCI Machine Learning Repository,
Optical Recognition of Handwritten Digits), which come with scikit-learn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.errors import OptionError
from ngmm.extras import optional

__all__ = ["Digits", "digits"]

Vector = NDArray[np.float64]

# Value of the darkest ink in the images.
DARKEST = 16.0
# Shares of digits of 5 and more are kept within these.
LEAST_SHARE, MOST_SHARE = 0.1, 0.9


class Digits(NamedTuple):
    """Images in clusters, and what was drawn for each cluster.

    Attributes
    ----------
    data
        For `ngmm.fit`: image (n, 8, 8), digit, y (one for a digit of 5 and more),
        cluster, and source, the number of the image where it comes from.
    effects
        A row a cluster: contrast, blur (pixels), shift, share of y = 1.

    Examples
    --------
    >>> import ngmm
    >>> made = ngmm.datasets.digits(n_clusters=2, n_rows=10)
    >>> made.data["image"].shape, made.effects.columns.tolist()
    ((20, 8, 8), ['contrast', 'blur', 'shift', 'share'])
    """

    data: dict[str, Any]
    effects: pd.DataFrame


def digits(
    *,
    n_clusters: int = 10,
    n_rows: int = 120,
    contrast: float = 0.4,
    blur: float = 0.6,
    shift: float = 0.3,
    sd_share: float = 0.3,
    confounding: float = 0.0,
    n_unconfounded: int = 0,
    noise: float = 0.05,
    reuse: bool = False,
    seed: int = 0,
) -> Digits:
    """Draw digits, each cluster of them seen through a scanner of its own.

    An image with values from 0 to 1 is blurred, multiplied by the contrast of the
    cluster and moved by its shift, and noise is added.

    Parameters
    ----------
    n_clusters, n_rows
        Clusters, and images of each.
    contrast
        Standard deviation of the logarithm of the contrast.
    blur
        Standard deviation of the width of the blur, a half-normal one, in pixels.
    shift
        Standard deviation of the shift of all pixels.
    sd_share
        Standard deviation of the share of y = 1 about a half, its mean.
    confounding
        Correlation of the shift with that share, from -1 to 1: with one the brightness
        of an image tells the share of its cluster.
    n_unconfounded
        Of so many clusters, the last ones, the shift tells nothing.
    noise
        Standard deviation of the noise of a pixel.
    reuse
        Whether several clusters may have the same image; none has it twice.
    seed
        Of the draws.

    Returns
    -------
    Digits
        Images (n, 8, 8) with their classes and clusters, and the effects drawn.

    Raises
    ------
    MissingPackageError
        Without scikit-learn.
    OptionError
        If there are not enough digits for clusters so large or so unequal, or a number
        is out of its range.

    Examples
    --------
    >>> import ngmm
    >>> found = ngmm.datasets.digits(n_clusters=3, n_rows=20)
    >>> found.data["image"].shape, len(found.effects)
    ((60, 8, 8), 3)
    """
    _check(n_clusters, n_rows, confounding, (contrast, blur, shift, sd_share, noise))
    sklearn = optional("sklearn.datasets", "images", "datasets.digits()")
    images, digit = sklearn.load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    told = np.where(
        np.arange(n_clusters) < n_clusters - n_unconfounded, confounding, 0.0
    )
    effects = _effects(rng, told, contrast, blur, shift, sd_share)
    share = effects["share"].to_numpy()
    rows = _rows(rng, digit >= 5, share, n_rows, reuse=reuse)
    image = images.reshape(-1, 8, 8)[rows] / DARKEST
    cluster = np.repeat(np.arange(n_clusters), n_rows)
    seen = np.empty_like(image)
    for j, effect in enumerate(effects.to_dict("records")):
        own = cluster == j
        blurred = _blurred(image[own], effect["blur"])
        seen[own] = effect["contrast"] * blurred + effect["shift"]
    seen += noise * rng.normal(size=seen.shape)
    data = {
        "image": seen,
        "digit": digit[rows],
        "y": (digit[rows] >= 5).astype(np.int64),
        "cluster": cluster,
        "source": rows,
    }
    return Digits(data, effects)


def _check(
    n_clusters: int, n_rows: int, confounding: float, spreads: tuple[float, ...]
) -> None:
    if n_clusters < 1 or n_rows < 1:
        raise OptionError(
            f"n_clusters={n_clusters} and n_rows={n_rows} must be at least 1"
        )
    if not -1 <= confounding <= 1:
        raise OptionError(
            f"confounding={confounding} is a correlation and must be from -1 to 1"
        )
    if not all(0 <= spread < np.inf for spread in spreads):
        raise OptionError(
            "contrast, blur, shift, sd_share and noise are standard deviations and "
            f"must be 0 or more, got {spreads}"
        )


def _effects(
    rng: np.random.Generator,
    told: Vector,
    contrast: float,
    blur: float,
    shift: float,
    sd_share: float,
) -> pd.DataFrame:
    """What the clusters are like; `told` is the correlation of shift and share."""
    n = len(told)
    share, apart = rng.normal(size=(2, n))
    # Half of the digits are five and more.
    share -= share.mean()
    mixed = told * share + np.sqrt(1.0 - told**2) * apart
    return pd.DataFrame(
        {
            "contrast": np.exp(contrast * rng.normal(size=n)),
            "blur": blur * np.abs(rng.normal(size=n)),
            "shift": shift * mixed,
            "share": np.clip(0.5 + sd_share * share, LEAST_SHARE, MOST_SHARE),
        }
    )


def _rows(
    rng: np.random.Generator,
    y: NDArray[np.bool_],
    share: Vector,
    n_rows: int,
    *,
    reuse: bool,
) -> NDArray[np.intp]:
    """Images of all clusters."""
    pools = [rng.permutation(np.flatnonzero(y == value)) for value in (0, 1)]
    used = [0, 0]
    out = []
    for q in share:
        ones, own = round(float(q) * n_rows), []
        for value, n in enumerate((n_rows - ones, ones)):
            pool = (
                rng.permutation(pools[value]) if reuse else pools[value][used[value] :]
            )
            if n > len(pool):
                raise OptionError(
                    f"{len(share)} clusters of {n_rows} images with these shares take "
                    f"more digits than the {len(y)} there are; use fewer clusters, a "
                    "smaller n_rows or a smaller sd_share, or reuse=True"
                )
            own.append(pool[:n])
            used[value] += n
        out.append(rng.permutation(np.concatenate(own)))
    return np.concatenate(out)


def _blurred(image: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Images with normal weights of neighbours within two pixels."""
    at = np.arange(-2, 3)
    weight = np.exp(-0.5 * (at / max(width, 1e-3)) ** 2)
    weight /= weight.sum()
    for axis in (1, 2):
        edges = [(0, 0)] * 3
        edges[axis] = (2, 2)
        wide, size = np.pad(image, edges), image.shape[axis]
        image = sum(
            (
                w * np.take(wide, np.arange(size) + k, axis)
                for k, w in enumerate(weight)
            ),
            np.zeros(()),
        )
    return image
