"""The rows with what the fit says of them: `augment`, in broom.mixed's columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.errors import DataError
from ngmm.inference.latent import LatentAnalysis

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit


def augment(
    fit: MixedModelFit, newdata: Any = None, *, new_levels: str = "error"
) -> pd.DataFrame:
    r"""The data beside what the fit says of each row, in columns of R's broom.mixed.

    Parameters
    ----------
    fit
        A fitted model.
    newdata
        Rows to predict; None for the rows the model was fitted to.
    new_levels
        Levels in new data that were not in the data, as in `MixedModelFit.predict`.

    Returns
    -------
    DataFrame
        The columns of the data (those with one value a row), then:

        ``.fitted``, ``.fixed``
            Linear predictor at the conditional modes, and with b = 0: on the scale of
            the link, which is that of the response for a Gaussian model.
        ``.mu``
            Mean of the response, a probability where it counts successes.
        ``.resid``
            y - mu of a Gaussian model, deviance residuals of all others. Of the rows of
            the fit only, as what follows.
        ``.hat``
            Leverage: how much the linear predictor of the row follows its own
            (working) response, at the variance parameters of the fit.
        ``.cooksd``
            Cook's distance, :math:`r^2 h / ((1 - h)^2 \phi p)`, with r the Pearson
            residual, h the leverage and p the number of fixed effects; missing where
            the leverage is one.
        ``.offset``, ``.weights``, ``.wtres``
            Known part, prior weight (times the number of trials) and Pearson residual.

        ``.hat`` and ``.cooksd`` are left out where the random effect is neural, and
        ``.cooksd`` where there are no fixed effects.

    Raises
    ------
    NewDataError
        If new data lack a column, have missing values or unseen levels.
    DataError
        If the data have a column of such a name already.

    Notes
    -----
    `MixedModelFit.fitted` and ``fit.resid()`` are on the scale of the response.
    broom.mixed's ``.sqrtXwt`` and ``.sqrtrwt``, inner parts of lme4's algorithm, are
    not given. The leverage of generalized models is that of the working response, and
    between 0 and 1; lme4's is not, as it warns.

    References
    ----------
    Bolker & Robinson, broom.mixed 0.2.9 (R package), ``augment.merMod``; Cook (1977),
    Technometrics 19, 15-18.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)
    >>> row = ngmm.broom.augment(fit).iloc[0]
    >>> [round(float(row[name]), 5) for name in (".fitted", ".hat", ".cooksd")]
    [253.66367, 0.2293, 0.00496]
    """
    if newdata is None:
        # First, since they say what a fit that was saved without its data lacks.
        columns = {**_predicted(fit), **_of_rows(fit)}
        data = _plain(fit.call.data, fit.design.rows, fit.design.index)
        return _joined(data, columns)
    columns = _predicted(fit, newdata, new_levels=new_levels)
    index = columns[".mu"].index
    return _joined(_plain(newdata, np.arange(len(index)), index), columns)


def _predicted(fit: MixedModelFit, *newdata: Any, **how: Any) -> dict[str, pd.Series]:
    """Linear predictor with and without random effects, and the mean."""
    without = {"new_levels": "population"} if how else {}
    return {
        ".fitted": fit.predict(*newdata, kind="link", **how),  # type: ignore[dict-item]
        ".fixed": fit.predict(*newdata, kind="link", re="none", **without),  # type: ignore[dict-item]
        ".mu": fit.predict(*newdata, **how),  # type: ignore[dict-item]
    }


def _of_rows(fit: MixedModelFit) -> dict[str, Any]:
    """What only the rows of the fit have."""
    design = fit.model.design
    pearson = fit.resid("pearson").to_numpy()
    kind = "response" if fit.model.family.has_residual else "deviance"
    columns: dict[str, Any] = {".resid": fit.resid(kind)}
    if not isinstance(fit._analysis, LatentAnalysis):
        from ngmm.inference.deletion.leverage import leverage

        hat = leverage(fit._analysis)
        columns[".hat"] = hat
        if len(fit.fixef):
            columns[".cooksd"] = _cook(pearson, hat, _scale(fit) * len(fit.fixef))
    trials = 1.0 if design.trials is None else design.trials
    columns[".offset"] = design.offset
    columns[".weights"] = design.weights * trials
    columns[".wtres"] = pearson
    return columns


def _cook(
    pearson: NDArray[np.float64], hat: NDArray[np.float64], scale: float
) -> NDArray[np.float64]:
    left = np.where(hat < 1.0 - 1e-12, 1.0 - hat, np.nan)
    return (pearson / left) ** 2 * hat / scale


def _scale(fit: MixedModelFit) -> float:
    """What Pearson residuals leave out of the variance of a response."""
    from ngmm.results.response import PRECISION_WEIGHTED

    return fit._analysis.dispersion if fit.family in PRECISION_WEIGHTED else 1.0


def _plain(data: Any, rows: NDArray[np.int64], index: pd.Index) -> pd.DataFrame:
    """The columns with one value a row, of data of any kind, at some rows."""
    if not isinstance(data, (pd.DataFrame, Mapping)):
        import narwhals as nw  # most data are pandas frames and never need it

        frame = nw.from_native(data, eager_only=True)
        data = {name: frame[name].to_list() for name in frame.columns}
    if isinstance(data, Mapping):
        columns = {name: v for name, v in data.items() if _is_column(v)}
        # By position: series in a mapping need not have the same labels.
        data = pd.DataFrame({name: _unlabelled(v) for name, v in columns.items()})
    if not len(data.columns):
        return pd.DataFrame(index=index)
    return data.iloc[rows].set_axis(index)


def _is_column(values: Any) -> bool:
    return len(getattr(values, "shape", (1,))) == 1 and hasattr(values, "__len__")


def _unlabelled(values: Any) -> Any:
    return values.reset_index(drop=True) if isinstance(values, pd.Series) else values


def _joined(data: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """The data with further columns."""
    taken = [name for name in columns if name in data.columns]
    if taken:
        raise DataError(
            f'the data have a column "{taken[0]}" already, which augment would add; '
            "rename it"
        )
    new = {name: np.asarray(values) for name, values in columns.items()}
    return pd.concat([data, pd.DataFrame(new, index=data.index)], axis=1)
