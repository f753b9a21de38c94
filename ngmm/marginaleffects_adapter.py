"""A fit as a model of the `marginaleffects` package.

Averages, hypotheses, plots and whatever else that package makes of predictions, with
the standard errors of ngmm. It takes a vector of parameters and their covariance, and
asks for predictions as a function of them. Here these parameters are the fixed effects,
for ``re="marginal"`` the variance parameters, and for networks one coefficient for each
direction in which their outputs are uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design import RandomDesign
from ngmm.effects.population import Points, Population, population, variances
from ngmm.effects.variables import Variables, variables_of
from ngmm.errors import MissingPackageError, NotSupportedError, OptionError
from ngmm.inference.marginal.mean import link_mean, marginal_mean
from ngmm.results import MixedModelFit

__all__ = ["MarginalEffectsModel"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to predict, in the place of a model matrix.

    Attributes
    ----------
    wide
        (n, k) derivatives of the linear predictor in its coefficients.
    eta, v
        (n,) linear predictor, and the variance of the random effects.
    random
        Random terms that are averaged over.
    """

    wide: Matrix
    eta: Vector
    v: Vector
    random: tuple[RandomDesign, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and coefficients of the linear predictor."""
        return self.wide.shape[0], self.wide.shape[1]

    def __len__(self) -> int:
        return len(self.eta)

    def __getitem__(self, rows: Any) -> Rows:
        return Rows(
            self.wide[rows],
            self.eta[rows],
            self.v[rows],
            tuple(replace(t, Z=t.Z[rows], codes=t.codes[rows]) for t in self.random),
        )


class MarginalEffectsModel:
    """A fit that functions of the `marginaleffects` package take as their model.

    It stands for ``marginaleffects.classes.ModelAbstract`` (0.6), as a virtual subclass
    of it, so that this module can be imported where that package is not installed.

    Parameters
    ----------
    fit
        A fit.
    re
        Random effects of predictions: ``"none"`` for zero, ``"marginal"`` for means
        over all levels.
    scale
        ``"response"``, or ``"link"`` for the linear predictor.

    Raises
    ------
    MissingPackageError
        If `marginaleffects` is not installed.
    NotSupportedError
        If the model has a neural random effect, or networks that read arrays.
    OptionError
        If re or scale is not one of those above.

    Notes
    -----
    Version 0.6 of the package compares levels of factors with polars 1 only. Tests are
    z tests, for the package knows one number of degrees of freedom for all
    estimates; `ngmm.effects` has Satterthwaite's. The package finds derivatives by
    forward differences: standard errors of averages are good to about six digits, those
    of slopes to three, or four with ``eps_vcov=1e-6``. Predictions are linear in the
    coefficients of networks, which is all that the delta method uses.

    References
    ----------
    Arel-Bundock, Greifer & Heiss (2024), J. Stat. Softw. 111(9), for the package.

    Examples
    --------
    >>> import ngmm
    >>> from marginaleffects import avg_slopes
    >>> from ngmm.marginaleffects_adapter import MarginalEffectsModel
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> found = avg_slopes(MarginalEffectsModel(fit), variables="Days")
    >>> round(found["estimate"][0], 3), round(found["std_error"][0], 3)
    (10.467, 1.502)
    """

    def __init__(
        self, fit: MixedModelFit, re: str = "none", scale: str = "response"
    ) -> None:
        abstract = _abstract()
        self.model = fit
        self._population = population(fit, re, scale, ("none", "marginal"))
        self._variables = variables_of(self._population)
        if self._variables.arrays:
            raise NotSupportedError(
                f'"{min(self._variables.arrays)}" is an array a row, which a polars '
                "frame cannot hold; use ngmm.effects"
            )
        self._basis = _Basis.of(self._population)
        self._modeldata = _modeldata(self._variables)
        self._types = _types(self._modeldata)
        self.coef: Vector = self._basis.coefficients
        self.response_name: str = self.find_response()
        abstract.register(type(self))

    # Parameters ------------------------------------------------------------------

    def get_coef(self) -> Vector:
        """The parameters that predictions are a function of."""
        return self.coef

    def get_coefnames(self) -> NDArray[np.object_]:
        """Their names."""
        return self._basis.names

    def get_vcov(self, vcov: Any = True) -> Matrix | None:
        """Their covariance matrix.

        Parameters
        ----------
        vcov
            True, or False for None. ``"cluster"`` for the sandwich estimator (models
            without networks, ``re="none"``).
        """
        if isinstance(vcov, bool) or vcov is None:
            return self._basis.covariance if vcov else None
        only_beta = len(self.coef) == len(self.model.fixef)
        if vcov == "cluster" and only_beta:
            return self.model.vcov(robust="cluster").to_numpy()
        raise OptionError(
            "vcov must be True, False, a matrix, or (without networks and with "
            f're="none") "cluster"; got {vcov!r}'
        )

    # Data ------------------------------------------------------------------------

    def get_modeldata(self) -> Any:
        """The rows of the fit, as a polars frame of the variables of the model."""
        return self._modeldata

    def get_variable_type(self, name: str | None = None) -> Any:
        """What kind of variable a column is; of all of them if it is none."""
        return self._types.get(name, self._types) if name else self._types

    def set_variable_type(self, name: str, value: str) -> None:
        """Declare what kind of variable a column is."""
        self._types[name] = value

    def find_variables(self) -> list[str]:
        """The response and the variables of the model."""
        return [self.model.response_name, *self._variables.names]

    def find_response(self) -> str:
        """The response."""
        return self.find_variables()[0]

    def find_predictors(self) -> list[str]:
        """The variables of the model."""
        return self.find_variables()[1:]

    def get_formula(self) -> Any:
        """A function, which tells the package to leave the formula to the model."""
        return self.get_exog

    def get_formula_engine(self) -> str:
        """What reads the formula."""
        return "ngmm"

    def get_package(self) -> str:
        """What fitted the model."""
        return "ngmm"

    def get_engine_running(self) -> None:
        """There is none."""
        return

    # Predictions -----------------------------------------------------------------

    def get_exog(self, newdata: Any) -> Rows:
        """Rows to predict, from a polars frame."""
        data: dict[str, Any] = {}
        for name in self._variables.names:
            column = newdata[name]
            levels = self._variables.levels.get(name)
            if levels is None or column.dtype.is_numeric():
                data[name] = column.to_numpy()
            else:
                labels = {str(level): level for level in levels}
                data[name] = [labels.get(str(v), v) for v in column.to_list()]
        points = self._population.points(data)
        directions = self._basis.directions(points)
        return Rows(
            wide=np.concatenate([points.new.X, directions], axis=1),
            eta=points.eta,
            v=points.v,
            random=points.new.random if self._population.integrates else (),
        )

    def get_predict(self, params: Any, newdata: Any) -> Any:
        """Predictions of rows at other parameters, as a polars frame."""
        import polars as pl

        rows = newdata if isinstance(newdata, Rows) else self.get_exog(newdata)
        values = self._basis.predict(np.asarray(params, dtype=np.float64), rows)
        return pl.DataFrame(
            {
                "rowid": pl.Series(np.arange(len(values)), dtype=pl.Int32),
                "estimate": values,
            }
        )

    def is_linear_model(self) -> bool:
        """Whether predictions are linear in the parameters."""
        return self._population.is_linear

    def get_autodiff_args(self) -> None:
        """None: the package takes differences of `get_predict`."""
        return

    def __repr__(self) -> str:
        return f"MarginalEffectsModel({self.model.formula})"


@dataclass(frozen=True, eq=False)
class _Basis:
    """The parameters of the package, made of those of all members of an average.

    A weight w of a member with share s enters the average by s J (w - estimate), so the
    average of the members' variances is that of weights with covariance C / s. What
    members differ by is one direction each, whose coefficient is 1 at the estimate.
    """

    population: Population
    coefficients: Vector
    names: NDArray[np.object_]
    covariance: Matrix

    @classmethod
    def of(cls, population: Population) -> _Basis:
        """The parameters of a fit."""
        fit, members = population.fit, population.parameters
        p, q = len(fit.fixef), len(fit.theta) + 1
        sizes = [m.n_weights for m in members]
        apart = len(members) if len(members) > 1 else 0
        d = sum(sizes) + apart
        covariance = np.zeros((p + d + q, p + d + q))
        start, weights = p, []
        for m in members:
            n = m.n_weights
            turn = np.zeros((p + d + q, len(m.covariance)))
            turn[:p, :p] = np.eye(p)
            turn[start : start + n, p : p + n] = np.eye(n) / m.share
            turn[p + d :, p + n :] = np.eye(q)
            covariance += m.share * (turn @ m.covariance @ turn.T)
            start += n
            if m.networks is not None and m.member is not None:
                weights.append(m.networks.weights(m.member))
        if apart:
            at = np.arange(start, p + d)
            covariance[at, at] = [m.share for m in members]
        values = [
            fit.fixef.to_numpy(),
            *weights,
            np.ones(apart),
            fit.theta,
            [fit.sigma],
        ]
        names = [
            *fit.fixef.index,
            *(f"w{i}[{j}]" for i, n in enumerate(sizes, 1) for j in range(n)),
            *(f"member{i + 1}" for i in range(apart)),
            *(f"theta[{j}]" for j in range(q - 1)),
            "sigma",
        ]
        # Where the mean is no average over random effects their sizes do not enter.
        n = p + d + (q if population.integrates else 0)
        return cls(
            population,
            np.concatenate(values)[:n],
            np.array(names, dtype=object)[:n],
            covariance[:n, :n],
        )

    def directions(self, points: Points) -> Matrix:
        """(n, d) what each coefficient of the networks adds to the linear predictor."""
        new, members = points.new, self.population.parameters
        parts, own = [np.zeros((new.n_rows, 0))], []
        for m in members:
            if m.networks is None or m.member is None:
                continue
            J = m.networks.jacobian(m.member, new.networks, new.X)
            parts.append(m.share * J)
            outputs = m.networks.member_outputs(new.networks, new.X)
            f = outputs[m.networks.members.index(m.member)].sum(1)
            own.append(new.X @ m.beta + f)
        if len(members) > 1:
            shares = np.array([m.share for m in members])
            parts.append((np.stack(own) - shares @ np.stack(own)).T)
        return np.concatenate(parts, axis=1)

    def predict(self, params: Vector, rows: Rows) -> Vector:
        """Means of rows at other parameters."""
        population, n = self.population, rows.wide.shape[1]
        eta = rows.eta + rows.wide @ (params[:n] - self.coefficients[:n])
        if population.is_linear:
            return eta
        if not population.integrates:
            return link_mean(population.link, eta)
        v, estimate = (
            variances(rows.random, x[n:-1], float(x[-1]), len(rows))
            for x in (params, self.coefficients)
        )
        # Members have other variances than the average: only the change counts.
        change = np.maximum(rows.v + v - estimate, 0.0)
        return marginal_mean(population.link, eta, change)


def _abstract() -> Any:
    """The class of the package that models are instances of."""
    try:
        from marginaleffects.classes import ModelAbstract
    except ImportError as cause:
        raise MissingPackageError(
            "the package marginaleffects is not installed; type pip install "
            "'marginaleffects>=0.6' 'polars<2'. ngmm.effects needs no such package"
        ) from cause
    return ModelAbstract


def _modeldata(variables: Variables) -> Any:
    import polars as pl

    out: dict[str, Any] = {}
    for name in variables.names:
        values = np.asarray(variables.columns[name])
        levels = variables.levels.get(name)
        if levels is None or values.dtype.kind in "biuf":
            out[name] = pl.Series(name, values)
        else:
            labels = [str(level) for level in levels]
            out[name] = pl.Series(name, [str(v) for v in values], dtype=pl.Enum(labels))
    response = variables.fit.response_name
    if response not in out:
        out[response] = pl.Series(response, variables.fit.design.y)
    return pl.DataFrame(out)


def _types(frame: Any) -> dict[str, str]:
    """What the package calls the kinds of columns."""
    import polars as pl

    out = {}
    for name, dtype in frame.schema.items():
        if dtype == pl.Boolean:
            out[name] = "boolean"
        elif not dtype.is_numeric():
            out[name] = "character"
        elif np.isin(frame[name].to_numpy(), (0, 1)).all():
            out[name] = "binary"
        else:
            out[name] = "integer" if dtype.is_integer() else "numeric"
    return out
