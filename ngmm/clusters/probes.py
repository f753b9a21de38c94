"""Columns that say what the group's mean response is, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.clusters.groups import level_means
from ngmm.errors import DataError, OptionError, did_you_mean
from ngmm.results.simulation import check_seed

Vector = NDArray[np.float64]

TRANSFORMS: dict[str, Callable[..., Any]] = {
    "identity": lambda m: m,
    "square": np.square,
    "reciprocal": np.reciprocal,
    "cos": np.cos,
    "sin": np.sin,
}


def with_probes(
    train: pd.DataFrame,
    *others: pd.DataFrame,
    response: str,
    group: str,
    transforms: Sequence[str] = tuple(TRANSFORMS),
    noise_sd: float = 0.05,
    seed: int | None = None,
) -> list[pd.DataFrame]:
    """Data with columns that are confounded with the group.

    A probe is a function of the mean response of the row's group over the rows of
    `train`, with normal noise: it predicts the response where the group is known, and
    is worth nothing in a new group. A model that uses it has learnt which group a row
    is from; `importance` says how much.

    Parameters
    ----------
    train
        A row for each observation to learn from. Only their responses are looked at:
        those of other frames are what a model is to predict.
    *others
        A row for each observation to predict.
    response, group
        Columns: a numeric response, and the grouping factor.
    transforms
        Functions of the mean, one for each of ``probe1``, ``probe2``, ...: some of
        ``"identity"``, ``"square"``, ``"reciprocal"``, ``"cos"``, ``"sin"``.
    noise_sd
        Standard deviation of the noise, which differs between the rows of a group.
    seed
        Seed of the noise; None for other noise each time.

    Returns
    -------
    list of DataFrame
        Copies with the probes as further columns, `train` first. Rows of a group that
        is not in `train` have the mean response of all rows of `train` in the place of
        that of their group. A zero there would mark such rows by a value that no group
        of `train` has, and have no reciprocal: what a model then makes of it would not
        be what it makes of a group of which nothing is known.

    Raises
    ------
    DataError
        If a column is absent or not numeric, has missing values, or is there already;
        if a mean is zero and its reciprocal asked for.
    OptionError
        If an argument has a value it cannot have.

    References
    ----------
    Nguyen, Treacher and Montillo (2023), IEEE TPAMI 45, 8081-8093, for probes.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [0, 1, 1, 1], "g": list("aabb")})
    >>> new = pd.DataFrame({"g": ["b", "c"]})
    >>> options = {"transforms": ["square"], "noise_sd": 0}
    >>> train, test = ngmm.clusters.with_probes(
    ...     data, new, response="y", group="g", **options
    ... )
    >>> train["probe1"].tolist(), test["probe1"].tolist()
    ([0.25, 0.25, 1.0, 1.0], [1.0, 0.5625])
    """
    names = _checked(transforms, noise_sd)
    rng = np.random.default_rng(None if seed is None else check_seed(seed))
    _check_frame(train, "train", [response, group], names)
    for i, frame in enumerate(others):
        _check_frame(frame, f"frame {i + 1} after train", [group], names)
    y = _numeric(pd.Series(train[response]), response)
    codes, labels = pd.factorize(train[group].to_numpy())
    means = level_means(codes, len(labels), y)
    out = []
    for frame in (train, *others):
        # Labels are looked up as they are: categories of another frame may differ.
        at = pd.Index(labels).get_indexer(pd.Index(frame[group].to_numpy()))
        m = np.where(at >= 0, means[at], y.mean())
        columns = {
            name: _transformed(m, which) + rng.normal(0.0, noise_sd, len(m))
            for name, which in names.items()
        }
        out.append(frame.assign(**columns))
    return out


def _checked(transforms: Any, noise_sd: Any) -> dict[str, str]:
    """Name of the probe -> its transform."""
    if isinstance(transforms, str) or not isinstance(transforms, Sequence):
        raise OptionError(
            f"transforms= takes a list such as {list(TRANSFORMS)}; got {transforms!r}"
        )
    if not transforms:
        raise OptionError("transforms= is empty: a probe each is made")
    for which in transforms:
        if which not in TRANSFORMS:
            raise OptionError(
                f"there is no transform {which!r}"
                f"{did_you_mean(which, TRANSFORMS) or '.'} "
                f"Transforms: {', '.join(TRANSFORMS)}"
            )
    number = isinstance(noise_sd, (int, float, np.number))
    if isinstance(noise_sd, bool) or not number or not 0.0 <= noise_sd < np.inf:
        raise OptionError(f"noise_sd= must be a number from 0; got {noise_sd!r}")
    return {f"probe{i + 1}": which for i, which in enumerate(transforms)}


def _check_frame(
    frame: object, what: str, needed: Sequence[str], made: Sequence[str] | Any
) -> None:
    """Refuse what cannot get probes."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"{what} must be a pandas DataFrame; got {type(frame).__name__}"
        )
    for name in needed:
        if name not in frame.columns:
            shown = ", ".join(map(str, frame.columns))
            raise DataError(
                f'"{name}" is not a column of {what}'
                f"{did_you_mean(name, frame.columns) or '.'} Columns: {shown}"
            )
        missing = int(np.count_nonzero(pd.isna(frame[name].to_numpy())))
        if missing:
            raise DataError(
                f'"{name}" is missing in {missing} rows of {what}; leave them out, '
                f'e.g. data.dropna(subset=["{name}"])'
            )
    for name in made:
        if name in frame.columns:
            raise DataError(
                f'{what} has a column "{name}" already; rename it or leave it out'
            )
    if frame.empty:
        raise DataError(f"{what} has no rows")


def _numeric(values: pd.Series, name: str) -> Vector:
    if not pd.api.types.is_numeric_dtype(values):
        raise DataError(
            f'the response "{name}" has no mean: it is {values.dtype}, not numeric. '
            f'Code it, e.g. data["{name}"] == {values.iloc[0]!r}'
        )
    out = values.to_numpy(dtype=np.float64)
    if not np.isfinite(out).all():
        raise DataError(f'the response "{name}" is infinite in some rows')
    return out


def _transformed(m: Vector, which: str) -> Vector:
    if which == "reciprocal" and (m == 0.0).any():
        raise DataError(
            "the mean response of a group is zero and has no reciprocal; leave "
            '"reciprocal" out of transforms='
        )
    return np.asarray(TRANSFORMS[which](m), dtype=np.float64)
