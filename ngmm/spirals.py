"""Simulated spirals in clusters, on which ARMED was shown.

Nguyen, Treacher and Montillo (2023, IEEE TPAMI 45, 8081-8093). The draws come in a
stated order from NumPy's legacy generator, so that a seed gives the same data
everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.errors import OptionError

__all__ = ["Spirals", "spirals"]

Vector = NDArray[np.float64]

KINDS = ("radius", "slope", "confounded")
# What keeps a stretched spiral finite.
TINY = 1e-7


class Spirals(NamedTuple):
    """Spirals, and what was drawn for each cluster.

    Attributes
    ----------
    data
        Columns x1, x2, y (the arm, from 0), cluster, and probe1, probe2, ... if there
        are any.
    effect
        (clusters,) radius; the stretching of x2 with ``kind="slope"``.
    share
        (clusters,) share of class 0; None unless confounded.

    Examples
    --------
    >>> import ngmm
    >>> made = ngmm.datasets.spirals("confounded", n_clusters=2, n_rows=3, n_probes=1)
    >>> made.data.columns.tolist(), made.effect.shape, made.share.shape
    (['x1', 'x2', 'y', 'cluster', 'probe1'], (2,), (2,))
    """

    data: pd.DataFrame
    effect: Vector
    share: Vector | None


def spirals(
    kind: str = "radius",
    *,
    n_clusters: int = 10,
    n_rows: int = 1000,
    n_classes: int = 2,
    degrees: int = 360,
    noise: float = 0.1,
    mean: float = 1.0,
    sd: float = 0.3,
    sd_share: float = 0.3,
    n_probes: int = 0,
    seed: int = 48,
) -> Spirals:
    """Draw spirals whose shape differs between clusters.

    Parameters
    ----------
    kind
        ``"radius"``: the radius of a cluster is normal. ``"slope"``: radius one, x2
        divided by one plus a normal number of mean zero. ``"confounded"``: as
        ``"radius"``, with shares of the two classes that differ between clusters, and
        probes, columns that say what the share is and nothing else.
    n_clusters, n_rows
        Clusters, and rows of each.
    n_classes
        Arms of the spiral; two if confounded.
    degrees
        Length of an arm.
    noise
        Standard deviation of the errors of both coordinates.
    mean, sd
        Of the radii; `sd` also of the stretching.
    sd_share
        Standard deviation of the share of class 0 about one half, cut at 0.1 and 0.9.
    n_probes
        Number of probes, normal about the share with standard deviation 0.2.
    seed
        Of the legacy generator. Drawn in this order: all radii or stretchings, all
        shares; then for each cluster and each class of it the angles and the errors;
        the probes of all clusters last.

    Returns
    -------
    Spirals
        Rows of all clusters, and what was drawn for each.

    Raises
    ------
    OptionError
        If an argument has a value it cannot have.

    Examples
    --------
    >>> import ngmm
    >>> made = ngmm.datasets.spirals(n_clusters=3, n_rows=4)
    >>> made.data.shape, made.effect.round(3).tolist()
    ((12, 4), [0.702, 0.681, 0.809])
    """
    if kind not in KINDS:
        raise OptionError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    confounded = kind == "confounded"
    if confounded and n_classes != 2:
        raise OptionError(f"confounded spirals have two classes, not {n_classes}")
    if n_probes and not confounded:
        raise OptionError('probes are for kind="confounded"')
    rng = np.random.RandomState(seed)
    effect = rng.normal(0.0 if kind == "slope" else mean, sd, n_clusters)
    share = None
    if confounded:
        share = np.clip(rng.normal(0.5, sd_share, n_clusters), 0.1, 0.9)
    parts = []
    for j in range(n_clusters):
        radius = 1.0 if kind == "slope" else effect[j]
        rows = 2 * n_rows if confounded else n_rows
        arms = [
            _arm(rng, c, n_classes, rows, degrees, radius, noise)
            for c in range(n_classes)
        ]
        if share is not None:
            first = int(np.floor(n_rows * share[j]))
            arms = [arms[0][:first], arms[1][: n_rows - first]]
        x = np.concatenate(arms)
        if kind == "slope":
            x[:, 1] /= 1.0 + effect[j] + TINY
        y = np.repeat(np.arange(n_classes), [len(a) for a in arms])
        parts.append(pd.DataFrame({"x1": x[:, 0], "x2": x[:, 1], "y": y, "cluster": j}))
    data = pd.concat(parts, ignore_index=True)
    if n_probes and share is not None:
        drawn = [rng.normal(q, 0.2, (n_rows, n_probes)) for q in share]
        for i, column in enumerate(np.concatenate(drawn).T):
            data[f"probe{i + 1}"] = column
    return Spirals(data, effect, share)


def _arm(
    rng: np.random.RandomState,
    c: int,
    n_classes: int,
    n_rows: int,
    degrees: int,
    radius: float,
    noise: float,
) -> Vector:
    """Points of one class, (n, 2)."""
    each = n_rows // n_classes
    last = c == n_classes - 1
    n = n_rows - (n_classes - 1) * each if last else each
    theta = np.pi / 180.0 * rng.randint(0, degrees, n)
    length = theta * radius / theta.max()
    turned = theta - 2.0 * np.pi * c / n_classes
    error = rng.normal(0.0, noise, (n, 2))
    points = np.column_stack([-np.cos(turned) * length, np.sin(turned) * length])
    return np.asarray(points + error, dtype=np.float64)
