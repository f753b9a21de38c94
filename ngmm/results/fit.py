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
    >>> fit.bse.round(3).to_dict()
    {'Intercept': 6.632, 'Days': 1.502}
    >>> f"{fit.pvalues['Days']:.1e}"
    '1.7e-06'

    The formula and the response:

    >>> fit.formula, fit.family, fit.link, fit.reml, fit.is_neural
    ('Reaction ~ Days + (Days | Subject)', 'gaussian', 'identity', False, False)
    >>> fit.response_name, fit.response_levels, fit.design.X.shape
    ('Reaction', None, (180, 2))
    >>> fit.nobs, fit.n_dropped, fit.missing, fit.aliased
    (180, 0, {}, ())
    >>> fit.n_levels, fit.group_sizes
    ({'Subject': 18}, {'Subject': (10, 10.0, 10)})

    Variances and fit:

    >>> fit.theta.round(4).tolist(), round(fit.sigma, 3), fit.phi
    ([0.9292, 0.0182, 0.2226], 25.592, None)
    >>> round(fit.loglik, 3), round(fit.deviance, 2)
    (-875.97, 1751.94)
    >>> fit.df_model, round(fit.aic, 2), round(float(fit.bic), 2)
    (6, 1763.94, 1783.1)
    >>> fit.converged, fit.is_singular, fit.integral_text
    (True, False, 'exact')
    >>> fit.estimate_text
    'converged in 5 Newton steps'
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
        """The arrays the model was fitted to.

        X has shape (n, p) and y (n,) for the n rows used, see `ngmm.design.Design`.
        With the hidden units on which random effects have slopes.
        """
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
        """Estimates of the fixed effects, beta, on the scale of the linear predictor.

        A value for each column of X, (p,), named like it.
        """
        beta = self.estimate.beta.copy()
        return pd.Series(beta, index=self._names, name="estimate")

    @property
    def bse(self) -> pd.Series:
        """Standard errors of the fixed effects, a value for each, (p,)."""
        return pd.Series(
            np.sqrt(np.diag(self._vcov)), index=self._names, name="std_error"
        )

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values of the fixed effects, (p,); see `coef_table`."""
        return pd.Series(self.coef_table().frame["p_value"])

    @property
    def theta(self) -> np.ndarray:
        """Entries of Lambda, (n_theta,): the covariance parameters of the fit.

        Terms in the order of the formula, each the lower triangle of its Lambda by
        columns; relative to `sigma`.
        """
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

        Returns
        -------
        DataFrame
            (p, p), rows and columns named like the fixed effects.

        Raises
        ------
        OptionError
            If ``robust`` is unknown, or the levels of the cluster share random effects.
        NotSupportedError
            For the sandwich with crossed random effects or networks.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.vcov().round(3).to_numpy().tolist()
        [[43.987, -1.37], [-1.37, 2.257]]
        >>> fit.vcov(robust="cluster").loc["Days", "Days"].round(3).item()
        2.389
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

        Returns
        -------
        Table
            A row for each fixed effect. Columns estimate, std_error, df (of t tests
            only), statistic, p_value, conf_low, conf_high.

        Raises
        ------
        OptionError
            If level is not between 0 and 1.

        References
        ----------
        Fai & Cornelius (1996), J. Stat. Comput. Simul. 54, 363-378; Kenward & Roger
        (1997), Biometrics 53, 983-997.

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

        Returns
        -------
        Table
            A row for each standard deviation and each correlation.

        Raises
        ------
        OptionError
            If level is not between 0 and 1.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> print(fit.varcorr())
        Random effects                     variance      sd   corr      95% CI
          Subject   Intercept                 565.5   23.78          [ 15.0, 37.7]
                    Days                       32.7    5.72          [  3.8,  8.6]
                    Days       Intercept                      0.08   [-0.51, 0.62]
          Residual                            654.9   25.59          [ 22.8, 28.7]
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

        Returns
        -------
        Table
            A row for each network term.

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

        Returns
        -------
        Table
            A row for each level of a factor or each numeric input, with its standard
            error and interval.

        Raises
        ------
        OptionError
            If the formula has no neural random effect, or level is not between 0 and 1.
        NotSupportedError
            If the network reads arrays.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> try:
        ...     fit.loadings()
        ... except ngmm.errors.OptionError as error:
        ...     print(str(error).partition(";")[0])
        loadings are those of a neural random effect
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
            Of ``"profile"``: ``parameters``, ``progress``. Of ``"bootstrap"``: ``n``,
            ``seed``, ``kind``, ``resample``, ``cluster``, ``progress``.

        Returns
        -------
        Table
            A row for each parameter. Columns estimate, conf_low and conf_high; note
            where a profile or a bootstrap has something to say of a row.

        Raises
        ------
        OptionError
            If the method or an option is unknown, or level not between 0 and 1.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> print(fit.conf_int())
        Confidence intervals               estimate   conf_low   conf_high
          Intercept                        251.4051    237.471     265.339
          Days                              10.4673      7.311      13.623
          sd(Intercept | Subject)           23.7806     15.017      37.658
          sd(Days | Subject)                 5.7168      3.805       8.588
          cor(Intercept, Days | Subject)     0.0813     -0.506       0.617
          sigma                             25.5918     22.800      28.725
          Wald intervals; t tests with Satterthwaite degrees of freedom
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
            Grouping factor -> frame with a row a level and a column an effect, on the
            scale of the linear predictor.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> modes = fit.ranef()["Subject"]
        >>> modes.shape, modes.loc["308"].round(3).to_dict()
        ((18, 2), {'Intercept': 2.816, 'Days': 9.076})
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

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.coef()["Subject"].loc["308"].round(3).to_dict()
        {'Intercept': 254.221, 'Days': 19.543}
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

        Returns
        -------
        Table
            A row for each fixed term but the intercept. Columns df, vif, root.

        References
        ----------
        Fox & Monette (1992), J. Am. Stat. Assoc. 87, 178-183.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> print(fit.collinearity())
        Collinearity   df     vif    root
          Days          1   1.000   1.000
          condition number of X (columns of unit length): 3.425
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
        """Correlation matrix of the estimates of the fixed effects.

        Returns
        -------
        DataFrame
            (p, p), rows and columns named like the fixed effects.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.correlation().loc["Intercept", "Days"].round(3).item()
        -0.138
        """
        return pd.DataFrame(
            overlap.correlation(self._vcov), index=self._names, columns=self._names
        )

    # Rows ------------------------------------------------------------------------

    def fitted(self) -> pd.Series:
        """Fitted means at the conditional modes, by row used.

        Of a neural random effect, posterior means of the mean (see `predict`).
        Probabilities where the response counts successes.

        Returns
        -------
        Series
            A value for each row used, (n,), on the scale of the response.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.fitted().iloc[:3].round(2).tolist()
        [254.22, 273.76, 293.31]
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

        Returns
        -------
        Series
            A value for each row used, (n,).

        Raises
        ------
        OptionError
            If there is no such kind.

        References
        ----------
        Dunn & Smyth (1996), J. Comput. Graph. Stat. 5, 236-244.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.resid().iloc[:3].round(2).tolist()
        [-4.66, -15.06, -42.51]
        >>> fit.resid("quantile").iloc[:3].round(2).tolist()
        [-0.18, -0.59, -1.66]
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
            A frame or mapping with the columns of the formula except the response; None
            for the rows the model was fitted to.
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

        Returns
        -------
        Series or DataFrame
            With a value a row, (n,): a series named ``fit``; a frame with columns fit,
            se, lower, upper if a standard error or an interval is asked for; a frame of
            terms.

        Raises
        ------
        NewDataError
            If new data lack a column, have missing values or unseen levels.
        OptionError
            If an argument is not one of those above, or the mean or interval asked for
            does not exist for the family.
        NotSupportedError
            For se or interval with a neural random effect.

        Notes
        -----
        With a neural random effect nothing is evaluated at a mode: for a known level
        the mean (``kind="link"``: the linear predictor) is averaged over the posterior
        distribution of its latent values v, under ``re="marginal"`` and
        ``new_levels="marginal"`` over their normal distribution; ``re="none"`` and
        ``"population"`` are v = 0.

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

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> draws = fit.simulate(3, seed=1)
        >>> draws.shape, draws.equals(fit.simulate(3, seed=1))
        ((180, 3), True)
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

        Returns
        -------
        MixedModelFit
            The fit to these responses, by the same estimator.

        Raises
        ------
        DataError
            If the length is wrong, or a value is not a finite number or not one the
            family can take.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("Dyestuff")
        >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
        >>> again = fit.refit(data["Yield"].to_numpy() + 10.0)
        >>> round(float((again.fixef - fit.fixef).iloc[0]), 6)
        10.0
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

        Returns
        -------
        MixedModelFit
            The new fit.

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

        The method and its options are those of `ngmm.intervals.bootstrap`.

        Parameters
        ----------
        n
            Number of data sets.
        seed
            Seed; None for that of the fit.
        **options
            ``resample``, ``cluster``, ``progress`` of `ngmm.intervals.bootstrap`.

        Returns
        -------
        Bootstrap
            The draws, with intervals, biases and standard errors.

        Raises
        ------
        OptionError
            If an argument cannot be used, or no refit succeeded.
        NotSupportedError
            If groups are to be drawn and the random effects are crossed.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("Dyestuff")
        >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
        >>> draws = fit.bootstrap(20, seed=1)
        >>> draws.n, draws.n_failed, draws.to_frame().columns.tolist()
        (20, 0, ['Intercept', 'sd(Intercept | Batch)', 'sigma'])
        """
        from ngmm.intervals.bootstrap import bootstrap

        return bootstrap(self, n, seed, **options)

    def to_arviz(
        self, draws: int = 1000, kind: str = "asymptotic", *, seed: int | None = None
    ) -> Any:
        """Draws of parameters, random effects and rows, as arviz reads them.

        The names are those of bambi, and the draws are no posterior sample: no prior
        was used.

        Parameters
        ----------
        draws
            Number of draws.
        kind
            ``"asymptotic"``: from the normal approximation of the estimator.
            ``"bootstrap"``: estimates from refits to simulated responses.
        seed
            Seed; None for that of the fit.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            Groups ``posterior``, ``log_likelihood``, ``posterior_predictive`` and
            ``observed_data``, with a chain of draws.

        Raises
        ------
        OptionError
            If an argument cannot be used, or no refit succeeded.
        NotSupportedError
            If the covariance of the estimates is not known, or refits are not offered.
        MissingPackageError
            If arviz is not installed.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("Dyestuff")
        >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
        >>> draws = fit.to_arviz(50, seed=1)
        >>> draws.posterior["Intercept"].shape, draws.posterior["1|Batch"].shape
        ((1, 50), (1, 50, 6))
        """
        from ngmm.arviz_bridge.export import to_arviz

        return to_arviz(self, draws, kind, seed=seed)

    def tidy(
        self, effects: str | Collection[str] = ("fixed", "ran_pars"), **options: Any
    ) -> pd.DataFrame:
        """Estimates, one a row, in the columns of R's broom.mixed.

        Parameters
        ----------
        effects
            One or more of ``"fixed"`` and ``"ran_pars"``; or ``"ran_vals"`` or
            ``"ran_coefs"``.
        **options
            ``conf_int``, ``conf_level``, ``conf_method``, ``exponentiate`` and others
            of `ngmm.broom.tidy`.

        Returns
        -------
        DataFrame
            One row for each estimate.

        Raises
        ------
        OptionError
            If there are no such effects, or an option of the intervals is wrong.
        NotSupportedError
            For ``"ran_coefs"`` with a neural random effect.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> frame = fit.tidy("fixed")[["term", "estimate", "std.error"]]
        >>> frame.round(3).to_numpy().tolist()
        [['Intercept', 251.405, 6.632], ['Days', 10.467, 1.502]]
        """
        from ngmm.broom.tidy import tidy

        return tidy(self, effects, **options)

    def glance(self) -> pd.DataFrame:
        """Size and fit of the model on one line; see `ngmm.broom.glance`.

        Returns
        -------
        DataFrame
            One row, in the columns of R's broom.mixed.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.glance()[["nobs", "logLik", "AIC"]].round(2).iloc[0].tolist()
        [180.0, -875.97, 1763.94]
        """
        from ngmm.broom.glance import glance

        return glance(self)

    def augment(
        self, newdata: Any = None, *, new_levels: str = "error"
    ) -> pd.DataFrame:
        """The data with fitted values and residuals; see `ngmm.broom.augment`.

        Parameters
        ----------
        newdata
            Rows to predict; None for the rows the model was fitted to.
        new_levels
            Levels that were not in the data, as in `predict`.

        Returns
        -------
        DataFrame
            A row for each row of the data: its columns, then those of R's broom.mixed,
            whose names begin with a dot.

        Raises
        ------
        NewDataError
            If new data lack a column, have missing values or unseen levels.
        DataError
            If the data have a column of such a name already.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.augment()[["Days", ".fitted", ".resid"]].round(2).iloc[0].tolist()
        [0.0, 254.22, -4.66]
        """
        from ngmm.broom.augment import augment

        return augment(self, newdata, new_levels=new_levels)

    # Tests -----------------------------------------------------------------------

    def anova(self, type: int = 3, *, df: str = "auto") -> Table:  # noqa: A002
        """Tests of the fixed terms; see `ngmm.comparison.anova`.

        Parameters
        ----------
        type
            1: each term after those before it; 2: after all that do not contain it; 3:
            after all others.
        df
            ``"satterthwaite"`` (``"auto"``, unless the model was fitted with another),
            ``"kenward-roger"``, or ``"none"`` for chi-square tests.

        Returns
        -------
        Table
            A row for each term.

        Raises
        ------
        OptionError
            If an argument is not one of those above, or the model has no fixed terms.
        NotSupportedError
            If Kenward and Roger's method needs more memory than it may take.

        References
        ----------
        Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13); Kenward &
        Roger (1997), Biometrics 53, 983-997.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> print(fit.anova())
        Fixed terms   df   den df       F        p
          Days         1     18.0   48.55   <0.001
          F tests, Satterthwaite degrees of freedom; type III: each term after all
          others, contained terms over unweighted cells
        """
        from ngmm.comparison.anova import anova

        return anova(self, type, df=df)

    def contest(self, L: Any, *, rhs: Any = 0.0, df: str = "auto") -> Table:
        """Test of linear combinations of the fixed effects being `rhs`.

        The details are those of `ngmm.comparison.contest`.

        Parameters
        ----------
        L
            Text such as ``"Intercept + 10 * Days = 350"``, a mapping from coefficients
            to weights, or a list of these; or numbers, (p,) or (q, p).
        rhs
            The value tested, or one for each row of L.
        df
            As for `anova`.

        Returns
        -------
        Table
            One row: the joint test, and of a single combination its estimate.

        Raises
        ------
        OptionError
            If L cannot be read, or its rows contradict each other.

        References
        ----------
        Fai & Cornelius (1996), J. Stat. Comput. Simul. 54, 363-378; Kenward & Roger
        (1997), Biometrics 53, 983-997.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> row = fit.contest("Intercept + 10 * Days = 350").to_frame().iloc[0]
        >>> row[["estimate", "p_value"]].round(3).tolist()
        [356.078, 0.701]
        """
        from ngmm.comparison.contest import contest

        return contest(self, L, rhs=rhs, df=df)

    def drop1(self, **options: Any) -> Table:
        """Each fixed term left out in turn; see `ngmm.comparison.drop1`.

        Parameters
        ----------
        **options
            ``test``, ``scope``, ``df`` and others of `ngmm.comparison.drop1`.

        Returns
        -------
        Table
            A row for the whole model and one for each term.

        Raises
        ------
        OptionError
            If a term of the scope is not in the model or is contained in another, or an
            option is unknown.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.drop1().to_frame().loc["Days", ["df", "statistic"]].round(3).tolist()
        [1.0, 23.537]
        """
        from ngmm.comparison.drop import drop1

        return drop1(self, **options)

    def ranova(self, **options: Any) -> Table:
        """Each random-effects term simplified in turn; see `ngmm.comparison.ranova`.

        Parameters
        ----------
        **options
            ``method``, ``n``, ``seed``, ``progress`` of `ngmm.comparison.ranova`.

        Returns
        -------
        Table
            A row for the whole model and one for each simplification.

        Raises
        ------
        OptionError
            If an option cannot be used.
        NotSupportedError
            If the model has networks; `ngmm.lrt` compares those.

        References
        ----------
        Self & Liang (1987), JASA 82, 605-610; Stram & Lee (1994), Biometrics 50,
        1171-1177.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> row = fit.ranova().to_frame().iloc[1]
        >>> round(float(row["statistic"]), 3), row["method"]
        (42.139, 'chibar')
        """
        from ngmm.comparison.anova_random import ranova

        return ranova(self, **options)

    def test_linear(self, term: str, **options: Any) -> Table:
        """Whether a network is better than linear terms in its inputs.

        The tests are those of `ngmm.comparison.test_linear`.

        Parameters
        ----------
        term
            The network as the formula has it, ``"nn(x1, x2)"``.
        **options
            ``method`` and the options of its test, of `ngmm.comparison.test_linear`.

        Returns
        -------
        Table
            One row with columns null, statistic, df, p_value and method.

        Raises
        ------
        OptionError
            If there is no such term or method, or the term is linear (``hidden=()``).

        References
        ----------
        Lin (1997), Biometrika 84, 309-326; Zhang & Lin (2003), Biostatistics 4, 57-74,
        for the score test. Wasserman, Ramdas & Balakrishnan (2020), PNAS 117,
        16880-16890, for the split test.

        Examples
        --------
        A network without hidden units is linear already:

        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ nn(Days, hidden=()) + (1 | Subject)", data)
        >>> try:
        ...     fit.test_linear("nn(Days)")
        ... except ngmm.errors.OptionError as error:
        ...     print(error)
        nn(Days) has no hidden units (hidden=()): it is linear in its inputs
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

        Returns
        -------
        Verdict
            Whether all is well, and one message for each thing that is not.

        Raises
        ------
        OptionError
            If the number is not positive, or the model is Gaussian: it has no error.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> fit.check().ok, fit.check().messages
        (True, ())
        """
        if importance is None:
            return self._analysis.verdict
        n = check_count(importance, "importance")
        return self._analysis.verdict_by_importance(n, self.seed)

    def summary(self) -> Document:
        """The fit on a page: ``print(fit.summary())``, also as Markdown and HTML.

        Returns
        -------
        Document
            The verdict, what was fitted, variances, fixed effects and networks.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
        >>> print(fit.summary())
        Linear mixed model                                                          [OK]
        formula    Reaction ~ Days + (Days | Subject)
        family     gaussian(identity)       data  180 rows used, 0 dropped
        groups     Subject 18 (10 to 10 rows, median 10)
        integral   exact
        estimate   maximum likelihood, converged in 5 Newton steps
        <BLANKLINE>
         loglik -875.97    AIC 1763.9    BIC 1783.1    df 6
        <BLANKLINE>
        Random effects             sd      95% CI      corr      95% CI
          Subject   Intercept   23.78   [15.0, 37.7]
                    Days         5.72   [ 3.8,  8.6]   0.08   [-0.51, 0.62]
          Residual              25.59   [22.8, 28.7]
        <BLANKLINE>
        Fixed effects   estimate      se     df       t        p        95% CI
          Intercept      251.405   6.632   18.0   37.91   <0.001   [237.47, 265.34]
          Days            10.467   1.502   18.0    6.97   <0.001   [  7.31,  13.62]
          t tests with Satterthwaite degrees of freedom
        """
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
