"""The fitted model: what was estimated, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ngmm.design import Design, DesignSpec
from ngmm.errors import NotSupportedError, OptionError
from ngmm.estimation.estimators import Newton
from ngmm.estimation.status import Status
from ngmm.formula import ModelFormula, update
from ngmm.inference import collinearity as overlap
from ngmm.inference.analysis import Analysis, analyse
from ngmm.inference.latent import LatentAnalysis
from ngmm.inference.neural import NeuralAnalysis
from ngmm.inference.quantiles import check_level
from ngmm.inference.verdict import Verdict
from ngmm.inference.wald.kenward_roger import AdjustedCoefficients, kenward_roger_table
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.model import Estimate, GaussianEstimate, Model
from ngmm.neural.fitting import NeuralFit
from ngmm.neural.record import FittedNetworks, given_networks
from ngmm.results.adaptation import Adapted, adapt
from ngmm.results.call import Call
from ngmm.results.coefficients import coefficient_frame
from ngmm.results.document import Document
from ngmm.results.latent import (
    latent_method_text,
    latent_network_frame,
    loading_table,
)
from ngmm.results.networks import method_and_status, network_caption, network_frame
from ngmm.results.prediction import predict
from ngmm.results.random_effects import coefficient_frames, mode_frames
from ngmm.results.refitting import with_response
from ngmm.results.request import request
from ngmm.results.response import residuals
from ngmm.results.similar import Similarity
from ngmm.results.simulation import check_count, check_seed, simulate_responses
from ngmm.results.summary import brief, summarise
from ngmm.results.table import Table
from ngmm.results.tables import (
    coef_table,
    method_caption,
    network_table,
    varcorr_table,
)
from ngmm.results.variances import variance_frame

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False, repr=False)
class MixedModelFit:
    """A fitted mixed model. Made by `ngmm.fit`; printing it shows the estimates.

    Attributes
    ----------
    terms
        The parsed formula.
    spec
        How the design was made, and is made for new data.
    model
        Design and family as a likelihood.
    estimate
        Its maximum.
    call
        Data and arguments, for `update`.
    estimator
        What found the maximum, for `refit`.
    df_method
        ``"satterthwaite"``, ``"kenward-roger"`` or ``"none"``.
    seed
        Seed of `simulate` and of sampled predictions when none is given.
    networks
        The fitted networks, None if the formula has none.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> fit.fixef.round(3).to_dict()
    {'Intercept': 251.405, 'Days': 10.467}
    """

    terms: ModelFormula
    spec: DesignSpec
    model: Model
    estimate: Estimate
    call: Call
    estimator: Any
    df_method: str = "satterthwaite"
    seed: int = 0
    # A default that is made leaves no attribute of the class behind.
    networks: FittedNetworks | None = field(default_factory=lambda: None)

    # Numbers ---------------------------------------------------------------------

    @property
    def design(self) -> Design:
        """The arrays the model was fitted to."""
        if self.networks is None:
            return self.model.design
        # With the hidden units on which random effects have slopes.
        return self._analysis.design

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return " ".join(self.terms.text.split()) or str(self.terms)

    @property
    def family(self) -> str:
        """Name of the response distribution."""
        return self.model.family.name

    @property
    def link(self) -> str:
        """Name of the link function."""
        return self.model.family.link

    @property
    def response_levels(self) -> tuple[str, str] | None:
        """Labels of a binary response that count as 0 and as 1; None for numbers."""
        return self.design.response_levels

    @property
    def response_name(self) -> str:
        """The response as it was written."""
        return self.design.response_name

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self.model.reml

    @property
    def fixef(self) -> pd.Series:
        """Estimates of the fixed effects, beta."""
        beta = self.estimate.beta.copy()
        return pd.Series(beta, index=self._names, name="estimate")

    @property
    def bse(self) -> pd.Series:
        """Standard errors of the fixed effects."""
        return pd.Series(
            np.sqrt(np.diag(self._vcov)), index=self._names, name="std_error"
        )

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values of the fixed effects, see `coef_table`."""
        return pd.Series(self.coef_table().frame["p_value"])

    @property
    def theta(self) -> np.ndarray:
        """Entries of Lambda: terms in the order of the formula; relative to `sigma`."""
        return self.estimate.theta.copy()

    @property
    def sigma(self) -> float:
        """Residual standard deviation; 1 for families that have none."""
        return self.estimate.sigma

    @property
    def phi(self) -> float | None:
        """Dispersion parameter of the family (its `size`, say); None without one."""
        return self.estimate.phi

    @property
    def loglik(self) -> float:
        """Log-likelihood at the estimate, with all constants; restricted if `reml`."""
        return self.estimate.loglik

    @property
    def deviance(self) -> float:
        """-2 `loglik`."""
        return -2.0 * self.loglik

    @property
    def df_model(self) -> float:
        """Number of parameters: of the fixed effects, the variances, the response.

        Networks add their effective number of weights.
        """
        if isinstance(self.estimate, LatentEstimate):
            return self.estimate.df
        if self.networks is None:
            return self.model.df
        return self.model.df + float(self.networks.edf.sum())

    @property
    def aic(self) -> float:
        """-2 loglik + 2 df_model."""
        return self.deviance + 2.0 * self.df_model

    @property
    def bic(self) -> float:
        """-2 loglik + log(nobs) df_model."""
        return self.deviance + np.log(self.nobs) * self.df_model

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return self.design.n_rows

    @property
    def n_dropped(self) -> int:
        """Number of rows left out because a value is missing."""
        return self.design.n_dropped

    @property
    def missing(self) -> Mapping[str, int]:
        """Column -> number of rows in which it is missing."""
        return dict(self.design.missing)

    @property
    def n_levels(self) -> dict[str, int]:
        """Grouping factor -> number of levels."""
        terms = (*self.design.random, *self.design.latent)
        return {t.group: t.n_levels for t in terms}

    @property
    def group_sizes(self) -> dict[str, tuple[float, float, float]]:
        """Grouping factor -> smallest, median and largest number of rows of a level."""
        out: dict[str, tuple[float, float, float]] = {}
        for t in (*self.design.random, *self.design.latent):
            size = np.bincount(t.codes, minlength=t.n_levels)
            out[t.group] = (int(size.min()), float(np.median(size)), int(size.max()))
        return out

    @property
    def is_neural(self) -> bool:
        """Whether the formula has networks, in its fixed part or as random effects."""
        return self.networks is not None or bool(self.design.latent)

    @property
    def aliased(self) -> tuple[str, ...]:
        """Fixed-effect columns dropped as linear combinations of earlier ones."""
        return self.design.aliased

    @property
    def converged(self) -> bool:
        """Whether the search ended at a maximum; `check` says more."""
        return self.estimate.status is Status.CONVERGED

    @property
    def is_singular(self) -> bool:
        """Whether some random-effects covariance matrix has less than full rank."""
        return not all(c.is_full_rank for c in self._analysis.components)

    @property
    def estimate_text(self) -> str:
        """How the maximum was searched for, and how the search ended."""
        e = self.estimate
        if isinstance(e, LatentEstimate):
            return latent_method_text(e)
        if self.networks is not None:
            return method_and_status(self.networks, e.status)
        if e.status is Status.CONVERGED:
            kind = "Newton" if isinstance(self.estimator, Newton) else "gradient"
            return f"converged in {e.n_steps} {kind} steps"
        return e.status.sentence

    @property
    def integral_text(self) -> str:
        """How the random effects were integrated out."""
        return self._analysis.integral_text

    # Tables ----------------------------------------------------------------------

    def vcov(
        self, robust: str | None = None, *, cluster: str | None = None
    ) -> pd.DataFrame:
        """Covariance matrix of the estimates of the fixed effects.

        Parameters
        ----------
        robust
            None for the one of the model; ``"cluster"`` for the sandwich estimator,
            which holds when the model of the variances is wrong: see
            `ngmm.intervals.cluster_covariance`.
        cluster
            Grouping factor whose levels are independent; None for the outermost one.
        """
        vcov = self._vcov.copy()
        if robust is not None:
            from ngmm.intervals.robust import cluster_covariance

            vcov = cluster_covariance(self, robust, cluster)
        return pd.DataFrame(vcov, index=self._names, columns=self._names)

    def coef_table(self, level: float = 0.95) -> Table:
        """Fixed effects: estimate, standard error, test, p-value, interval.

        Parameters
        ----------
        level
            Confidence level of the intervals.

        Raises
        ------
        OptionError
            If level is not between 0 and 1.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)
        >>> days = fit.coef_table().to_frame().loc["Days"]
        >>> days[["std_error", "df"]].round(3).tolist()
        [1.546, 17.0]
        """
        check_level(level)
        frame = coefficient_frame(self._analysis, self._vcov, self._df, level)
        caption = method_caption(self.df_method, self.networks)
        return coef_table(frame, caption, level=level)

    def varcorr(self, level: float = 0.95) -> Table:
        """Standard deviations and correlations of random effects, and the residual.

        The last row is the residual standard deviation of a Gaussian model, or the
        dispersion parameter of a family that has one.

        Parameters
        ----------
        level
            Confidence level of the Wald intervals: symmetric for log sd, for Fisher's z
            and for the logarithm of a dispersion parameter; missing at a boundary.
        """
        check_level(level)
        frame = variance_frame(self._analysis, level)
        return varcorr_table(frame, level=level)

    def nn_table(self) -> Table:
        """Network terms: size, effective size, penalty, and what they amount to.

        Columns of its frame, a row each term:

        layout
            Inputs (with an indicator for each level of a factor), hidden units, output;
            of the best of the networks that are averaged.
        weights
            Number of its weights.
        edf
            Effective number of weights, which `df_model` counts; missing for networks
            fitted by minibatches.
        penalty
            Ridge penalty of the weights: geometric mean, weighted by the effective
            weights it governs; 0 where nothing is penalised.
        sd
            Standard deviation of the term's contribution f over the rows, on the scale
            of the link.
        linear
            Share of its variance that is a linear function of the inputs.
        spread
            Root mean square difference between f and the networks that are averaged,
            over sd.

        Raises
        ------
        OptionError
            If the formula has no network terms.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ nn(Days, hidden=()) + (1 | Subject)", data)
        >>> row = fit.nn_table().to_frame().loc["nn(Days)"]
        >>> row["layout"], float(row["edf"])
        ('1-1', 1.0)
        """
        if not self.is_neural:
            raise OptionError(
                "the model has no network terms; write one into the formula, such as "
                "nn(x1, x2)"
            )
        frame = self._network_frame.copy()
        if self.networks is None:
            return network_table(frame)
        return network_table(frame, network_caption(self.networks))

    def loadings(self, level: float = 0.95) -> Table:
        """Slopes of the linear predictor in v, the input of a neural random effect.

        For ``(nn(item, hidden=()) | student)`` they are the discriminations of the
        items. A row for each level of a factor, at the means of numeric inputs and the
        first levels of other factors; for a numeric input, by how much the slope grows
        from half a standard deviation below the mean to as much above, per unit of the
        input; ``(average)``, without a factor, at the means of all inputs. With hidden
        layers they are slopes at v = 0.

        Parameters
        ----------
        level
            Confidence level of the Wald intervals.

        Raises
        ------
        OptionError
            If the formula has no neural random effect.
        NotSupportedError
            If the network reads arrays.
        """
        check_level(level)
        if not isinstance(self._analysis, LatentAnalysis):
            raise OptionError(
                "loadings are those of a neural random effect; write one into the "
                "formula, such as (nn(item) | student)"
            )
        return loading_table(self._analysis, self.spec, level)

    def conf_int(
        self, level: float = 0.95, method: str = "wald", **options: Any
    ) -> Table:
        """Confidence intervals of all parameters.

        Parameters
        ----------
        level
            Confidence level.
        method
            ``"wald"``: t or z intervals as in `coef_table` for fixed effects; for
            variance parameters as in `varcorr`. ``"profile"``: where the likelihood
            ratio, all other parameters at their best, reaches its critical value; see
            `ngmm.intervals.profile`. ``"bootstrap"``: from refits to simulated
            responses; see `ngmm.intervals.bootstrap`.
        **options
            Of ``"profile"``: ``parameters``. Of ``"bootstrap"``: ``n``, ``seed``,
            ``kind``, ``resample``, ``cluster``, ``progress``.

        Raises
        ------
        OptionError
            If the method or an option is unknown, or level not between 0 and 1.
        """
        from ngmm.intervals.dispatch import conf_int

        return conf_int(self, level, method, **options)

    def ranef(self, *, cond_sd: bool = False) -> dict[str, pd.DataFrame]:
        """Conditional modes of the random effects, b given the data.

        Of a neural random effect the posterior means of its latent values v, which
        have a standard normal distribution over levels.

        Parameters
        ----------
        cond_sd
            Add columns ``<name>_sd``: conditional standard deviations, given the
            variance parameters and beta; from the curvature at the mode unless the
            model is Gaussian. Posterior standard deviations of v.

        Returns
        -------
        dict
            Grouping factor -> frame with a row a level and a column an effect.
        """
        return mode_frames(self._analysis, cond_sd=cond_sd)

    def coef(self) -> dict[str, pd.DataFrame]:
        """Coefficients by level: fixed effects plus conditional modes.

        Returns
        -------
        dict
            Grouping factor -> frame with a row a level and a column a coefficient.

        Raises
        ------
        NotSupportedError
            If the random effect is neural.
        """
        for term in self.design.latent:
            raise NotSupportedError(
                f"{term.label} does not add to coefficients; use ranef() for v and "
                "loadings() for what a unit of it does"
            )
        return coefficient_frames(self.ranef(), self.fixef)

    def collinearity(self) -> Table:
        """Variance inflation of each fixed term, and the condition number of X.

        The inflation of a term of several columns is the generalised one (Fox and
        Monette 1992); ``root`` is its 1/(2 df)-th power, comparable across terms: the
        factor by which overlap with other terms widens the intervals.
        """
        found = overlap.inflation(self._vcov, self.design.column_terms)
        frame = pd.DataFrame(
            {
                "df": [df for _, df in found.values()],
                "vif": [value for value, _ in found.values()],
                "root": [v ** (0.5 / df) for v, df in found.values()],
            },
            index=pd.Index(list(found), dtype=object),
        )
        number = overlap.condition_number(self.design.X)
        caption = f"condition number of X (columns of unit length): {number:.4g}"
        return Table(frame, caption, title="Collinearity")

    def correlation(self) -> pd.DataFrame:
        """Correlation matrix of the estimates of the fixed effects."""
        return pd.DataFrame(
            overlap.correlation(self._vcov), index=self._names, columns=self._names
        )

    # Rows ------------------------------------------------------------------------

    def fitted(self) -> pd.Series:
        """Fitted means at the conditional modes, by row used.

        Of a neural random effect, posterior means of the mean (see `predict`).
        Probabilities where the response counts successes.
        """
        return pd.Series(self.predict(), name="fitted")

    def resid(self, kind: str = "response") -> pd.Series:
        """Residuals of the rows used.

        Parameters
        ----------
        kind
            ``"response"``: y - fitted (a proportion of successes less its probability).
            ``"pearson"``: those over the standard deviation of the response, and times
            the square root of the prior weight; as in lme4 without the residual
            variance of a Gaussian model or the phi of a gamma one. ``"deviance"``:
            signed roots of the contributions to the deviance. ``"working"``: response
            residuals over the slope of the mean in the linear predictor.
            ``"quantile"``: standard normal under the model given the random effects
            (Dunn and Smyth 1996); of a discrete response they are randomised, from
            `seed`.

        Raises
        ------
        OptionError
            If there is no such kind.
        """
        if isinstance(self._analysis, LatentAnalysis):
            # Where the mean is the fitted one, that averaged over v.
            eta = self.model.family.transform.link(self.predict().to_numpy())
        else:
            eta = self.predict(kind="link").to_numpy()
        values = residuals(self._analysis, eta, kind, self.seed)
        return pd.Series(values, index=self.design.index, name="resid")

    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "response",
        re: str | Collection[str] = "all",
        new_levels: str = "error",
        se: bool = False,
        interval: str | None = None,
        level: float = 0.95,
    ) -> pd.Series | pd.DataFrame:
        """Predictions for the rows used, or for new data.

        Parameters
        ----------
        newdata
            A frame or mapping with the columns of the formula except the response;
            None for the rows the model was fitted to.
        kind
            ``"response"``: the mean, a probability where the response counts successes.
            ``"link"``: the linear predictor; both agree for a Gaussian model.
            ``"terms"``: what every term contributes to the linear predictor, a column
            each.
        re
            Random effects that enter: ``"all"``, ``"none"`` (b = 0), ``"marginal"`` (b
            integrated out: the mean over levels, which is that of ``"none"`` for a
            linear mean only; a prediction interval contains the variation between
            levels), or a list of grouping factors.
        new_levels
            Levels that were not in the data: ``"error"``; ``"population"``, b = 0;
            ``"marginal"``, b integrated out of the mean, with its variance in ``se``
            and ``interval``; ``"sample"``, one draw of b a level from `seed`;
            ``"similar"``, the mean of the known levels, weighted for each row by how
            much it looks like theirs. `adapt` is better where rows have a response.
        se
            Add the standard error of the mean: estimation of beta and of the
            conditional modes, at the estimated variance parameters. On the scale of a
            response that is not linear, by the delta method.
        interval
            ``"confidence"`` for the mean: normal limits for the linear predictor,
            carried over to the response. ``"prediction"`` for a new observation (of
            weight one in new data): normal limits for a Gaussian response; otherwise
            quantiles of 10,000 draws a row from its predictive distribution, from
            `seed`. Counts of successes have them for the rows of the fit only, as
            proportions; a 0/1 response has none.
        level
            Level of the interval.

        With a neural random effect nothing is evaluated at a mode: for a known level
        the mean (``kind="link"``: the linear predictor) is averaged over the posterior
        distribution of its latent values v, under ``re="marginal"`` and
        ``new_levels="marginal"`` over their normal distribution; ``re="none"`` and
        ``"population"`` are v = 0.

        Returns
        -------
        Series or DataFrame
            A series named ``fit``; a frame with columns fit, se, lower, upper if a
            standard error or an interval is asked for; a frame of terms.

        Raises
        ------
        NewDataError
            If new data lack a column, have missing values or unseen levels.
        OptionError
            If an argument is not one of those above, or the mean or interval asked for
            does not exist for the family.
        NotSupportedError
            For se or interval with a neural random effect.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> new = {"Days": [10], "Subject": ["308"]}
        >>> fit.predict(new, interval="prediction").round(1).iloc[0].tolist()
        [449.6, 390.8, 508.5]
        """
        ask = request(
            tuple(self.n_levels),
            kind=kind,
            re=re,
            new_levels=new_levels,
            se=se,
            interval=interval,
            level=level,
        )
        return predict(
            self._analysis, self.spec, newdata, ask, self.seed, self._similarity
        )

    def adapt(self, newdata: Any) -> Adapted:
        """Random effects of groups that were not in the data, from some of their rows.

        A handful of rows with a response is enough: the parameters stay those of the
        fit, and the random effects of the new groups are found given them, as those of
        the groups in the data were.

        Parameters
        ----------
        newdata
            Rows of new groups with the columns of the formula, the response among
            them. Rows without a response are left out.

        Returns
        -------
        Adapted
            With `ranef` and `predict`.

        Raises
        ------
        NewDataError
            If no row has a response, or a row is of a group that the model knows.
        NotSupportedError
            With several grouping factors, or a neural random effect.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> seen = data["Subject"] != "308"
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data[seen])
        >>> adapted = fit.adapt(data[~seen].iloc[:4])
        >>> adapted.predict(data[~seen].iloc[8:]).round(0).tolist()
        [348.0, 360.0]
        """
        return adapt(self._analysis, self.spec, newdata, self.call.arguments)

    def simulate(self, n: int = 1, seed: int | None = None) -> pd.DataFrame:
        """Responses drawn from the fitted model, with new random effects.

        Parameters
        ----------
        n
            Number of data sets.
        seed
            Seed; None for that of the fit. The same seed gives the same numbers.

        Returns
        -------
        DataFrame
            A row for each row used, columns 0 to n - 1.

        Raises
        ------
        OptionError
            If n or seed is not a whole number that can be used.
        """
        values = simulate_responses(
            self._analysis,
            check_count(n),
            self.seed if seed is None else check_seed(seed),
        )
        return pd.DataFrame(values, index=self.design.index)

    # Again -----------------------------------------------------------------------

    def refit(self, y: ArrayLike) -> MixedModelFit:
        """The same model fitted to another response.

        Parameters
        ----------
        y
            A value for each row used (`nobs` of them), as `simulate` gives them: after
            a transformation such as ``log(y)``; the number of successes where the
            response counts them. `update` of the result goes back to the response in
            the data.

        Raises
        ------
        DataError
            If the length is wrong, or a value is not a finite number or not one the
            family can take.
        """
        model = with_response(self.model, y)
        found = self.estimator(model)
        if isinstance(found, NeuralFit):
            return replace(
                self, model=model, estimate=found.estimate, networks=found.networks
            )
        return replace(self, model=model, estimate=found)

    def update(self, change: str = ". ~ .", **arguments: Any) -> MixedModelFit:
        """Fit a changed formula, or with other arguments, to the same data.

        Parameters
        ----------
        change
            Change of the formula as in R: ``". ~ . - x + (1 | h)"``; a dot stands for
            what was there.
        arguments
            Arguments of `ngmm.fit` to replace, ``data`` among them.

        Raises
        ------
        FormulaError
            If the change cannot be read, or takes away what is not there.
        OptionError
            If it is not a string.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.update(". ~ . - Days").formula
        'Reaction ~ 1 + (1 + Days | Subject)'
        """
        if not isinstance(change, str):
            raise OptionError(
                f'expected a change of the formula such as ". ~ . - x"; got {change!r}'
            )
        same = change.split() == [".", "~", "."]
        formula = self.terms.text if same else str(update(self.terms, change))
        return self.call.again(formula, **arguments)

    def bootstrap(self, n: int = 1000, seed: int | None = None, **options: Any) -> Any:
        """Refits to responses simulated from the fitted model, or to resampled groups.

        See `ngmm.intervals.bootstrap`, whose arguments these are.
        """
        from ngmm.intervals.bootstrap import bootstrap

        return bootstrap(self, n, seed, **options)

    def to_arviz(
        self, draws: int = 1000, kind: str = "asymptotic", *, seed: int | None = None
    ) -> Any:
        """Draws of parameters, random effects and rows, as arviz reads them.

        See `ngmm.arviz_bridge.to_arviz`, whose arguments these are.
        """
        from ngmm.arviz_bridge.export import to_arviz

        return to_arviz(self, draws, kind, seed=seed)

    def tidy(
        self, effects: str | Collection[str] = ("fixed", "ran_pars"), **options: Any
    ) -> pd.DataFrame:
        """Estimates, one a row, in the columns of R's broom.mixed.

        See `ngmm.broom.tidy`, whose arguments these are.
        """
        from ngmm.broom.tidy import tidy

        return tidy(self, effects, **options)

    def glance(self) -> pd.DataFrame:
        """Size and fit of the model on one line; see `ngmm.broom.glance`."""
        from ngmm.broom.glance import glance

        return glance(self)

    def augment(
        self, newdata: Any = None, *, new_levels: str = "error"
    ) -> pd.DataFrame:
        """The data with fitted values and residuals; see `ngmm.broom.augment`."""
        from ngmm.broom.augment import augment

        return augment(self, newdata, new_levels=new_levels)

    # Tests -----------------------------------------------------------------------

    def anova(self, type: int = 3, *, df: str = "auto") -> Table:  # noqa: A002
        """Tests of the fixed terms; see `ngmm.comparison.anova`."""
        from ngmm.comparison.anova import anova

        return anova(self, type, df=df)

    def contest(self, L: Any, *, rhs: Any = 0.0, df: str = "auto") -> Table:
        """Test of linear combinations of the fixed effects being `rhs`.

        See `ngmm.comparison.contest`.
        """
        from ngmm.comparison.contest import contest

        return contest(self, L, rhs=rhs, df=df)

    def drop1(self, **options: Any) -> Table:
        """Each fixed term left out in turn; see `ngmm.comparison.drop1`."""
        from ngmm.comparison.drop import drop1

        return drop1(self, **options)

    def ranova(self, **options: Any) -> Table:
        """Each random-effects term simplified in turn; see `ngmm.comparison.ranova`."""
        from ngmm.comparison.anova_random import ranova

        return ranova(self, **options)

    def test_linear(self, term: str, **options: Any) -> Table:
        """Whether a network is better than linear terms in its inputs.

        See `ngmm.comparison.test_linear`.
        """
        from ngmm.comparison.linearity import test_linear

        return test_linear(self, term, **options)

    # Verdict and text ------------------------------------------------------------

    def check(self, *, importance: int | None = None) -> Verdict:
        """Whether the numbers can be relied on, and what to do if not.

        Parameters
        ----------
        importance
            Number of draws of the random effects, such as 1000, by which the error of
            the log-likelihood is estimated (importance sampling, from `seed`): for
            rules that do not know their own, Laplace's for crossed factors.

        Raises
        ------
        OptionError
            If the number is not positive, or the model is Gaussian: it has no error.
        """
        if importance is None:
            return self._analysis.verdict
        n = check_count(importance, "importance")
        return self._analysis.verdict_by_importance(n, self.seed)

    def summary(self) -> Document:
        """The fit on a page: ``print(fit.summary())``, also as Markdown and HTML."""
        return summarise(self)

    def __str__(self) -> str:
        """The estimates, shorter than `summary`."""
        return str(brief(self))

    def __repr__(self) -> str:
        """As printed."""
        return str(self)

    def _repr_html_(self) -> str:
        return brief(self).to_html()

    def save(
        self, path: str | PathLike[str], *, data: bool = True, overwrite: bool = True
    ) -> None:
        """Write the fit to a file, which `ngmm.load` reads.

        One file without code, of which no part is run when it is read. It is written
        next to its place and then put there, so that a failure leaves an older file
        whole.

        Parameters
        ----------
        path
            Name of the file; ``"fit.ngmm"``, say.
        data
            Whether the rows are saved. Without them the tables and predictions for new
            data are the same, and what needs the rows (`fitted`, `resid`, `simulate`,
            `refit`, intervals by profile or bootstrap) says so.
        overwrite
            Whether a file of that name is replaced.

        Raises
        ------
        SavedFitError
            If there is such a file and ``overwrite`` is False, or something in the fit
            can be no part of a file, such as objects in a column of the data.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import tempfile, pathlib, ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "sleep.ngmm")
        ...     fit.save(path, data=False)
        ...     again = ngmm.load(path)
        >>> again.fixef.round(3).to_dict()
        {'Intercept': 251.405, 'Days': 10.467}
        """
        from ngmm.persistence.files import save

        save(self, path, data=data, overwrite=overwrite)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: what all else is computed from."""
        state = vars(self)
        if not isinstance(self.model.design.y, np.ndarray):
            # Loaded without its rows, from which it would be computed.
            return dict(state)
        return {f.name: state[f.name] for f in fields(self)}

    # Computed once ---------------------------------------------------------------

    @property
    def _names(self) -> pd.Index:
        return pd.Index(list(self.design.names), dtype=object)

    @cached_property
    def _analysis(self) -> Analysis:
        if isinstance(self.estimate, LatentEstimate):
            return LatentAnalysis(self.model, self.estimate)
        if self.networks is None:
            return analyse(self.model, self.estimate)
        given = given_networks(self.model, self.networks)
        return NeuralAnalysis(analyse(given, self.estimate), self.model, self.networks)

    @cached_property
    def _network_frame(self) -> pd.DataFrame:
        """What `nn_table` shows."""
        if isinstance(self._analysis, LatentAnalysis):
            return latent_network_frame(self._analysis)
        assert self.networks is not None
        return network_frame(self.networks)

    @cached_property
    def _similarity(self) -> Similarity:
        """Which of the known levels rows look like."""
        return Similarity(self._analysis)

    @cached_property
    def _adjusted(self) -> AdjustedCoefficients | None:
        """What Kenward and Roger's method gives, if it was asked for."""
        if self.df_method != "kenward-roger":
            return None
        assert isinstance(self.estimate, GaussianEstimate)
        return kenward_roger_table(self.model, self.estimate)

    @property
    def _vcov(self) -> np.ndarray:
        return self._analysis.vcov if self._adjusted is None else self._adjusted.vcov

    @cached_property
    def _df(self) -> np.ndarray:
        if self._adjusted is not None:
            return self._adjusted.df
        return self._analysis.degrees_of_freedom(self.df_method)
