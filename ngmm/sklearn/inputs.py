"""X, y and weights as scikit-learn hands them over, as columns of a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import validate_data

from ngmm.design.frame import read_frame
from ngmm.errors import DataError
from ngmm.sklearn.formulas import GROUPS


def checked_columns(estimator: BaseEstimator, X: Any, *, reset: bool) -> pd.DataFrame:
    """X as a frame; columns without names are called x0, x1, ...

    Parameters
    ----------
    estimator
        Takes, or is compared by, the names and the number of the columns.
    X
        A frame of pandas or another library, whose columns may be of any kind, or an
        array of numbers (n, features).
    reset
        Whether this is a fit, which defines the columns.

    Raises
    ------
    ValueError
        If the columns are not those of the fit; of an array, if it is not
        two-dimensional, has no rows, or values that are not finite.
    """
    if not _is_frame(X):
        array = np.asarray(validate_data(estimator, X, reset=reset))
        return pd.DataFrame(array, columns=_names(estimator, array.shape[1]))
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    names = list(X.columns)
    if not isinstance(X, pd.DataFrame):
        X = pd.DataFrame(read_frame(X, names, argument="X").columns)
    if hasattr(estimator, "feature_names_in_"):
        return X
    # Names that are no texts, or a fit to an array: columns go by their place.
    return X.set_axis(_names(estimator, len(names)), axis=1)


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and len(getattr(X, "shape", ())) == 2


def _names(estimator: BaseEstimator, n: int) -> pd.Index:
    """Names of columns that come without: those of the fit, or x0, x1, ..."""
    given = getattr(estimator, "feature_names_in_", None)
    return pd.Index([f"x{j}" for j in range(n)] if given is None else list(given))


def check_two_rows(frame: pd.DataFrame) -> None:
    """Refuse to fit a single row.

    Raises
    ------
    DataError
        If there are not two.
    """
    if len(frame) < 2:
        raise DataError(
            f"n_samples={len(frame)}: a mixed model needs groups with several rows; "
            "bring more data"
        )


def with_groups(frame: pd.DataFrame, groups: Any) -> pd.DataFrame:
    """The frame with the groups as a column, if they are given.

    Raises
    ------
    DataError
        If X has a column of that name already.
    """
    if groups is None:
        return frame
    if GROUPS in frame.columns:
        raise DataError(
            f'groups= was given, and X has a column "{GROUPS}" too; leave one of them '
            "out"
        )
    check_consistent_length(frame, groups)
    return frame.assign(**{GROUPS: np.asarray(groups)})
