"""What the summary needs to know of a fitted model, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ngmm.neural.record import FittedNetworks
    from ngmm.results.table import Table


class Message(Protocol):
    """Something wrong with a fit."""

    @property
    def text(self) -> str:
        """What happened, and what it means for the numbers."""
        ...

    @property
    def remedy(self) -> str:
        """The call that helps; may be empty."""
        ...


class Verdict(Protocol):
    """What ``fit.check()`` gives."""

    @property
    def ok(self) -> bool:
        """Whether the numbers can be relied on."""
        ...

    @property
    def messages(self) -> Sequence[Message]:
        """Why they cannot; empty when ok."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What is worth knowing without being wrong."""
        ...


class Fitted(Protocol):
    """A fitted model as the summary sees it."""

    @property
    def formula(self) -> str:
        """The formula, canonical."""
        ...

    @property
    def family(self) -> str:
        """Name of the response distribution."""
        ...

    @property
    def link(self) -> str:
        """Name of the link function."""
        ...

    @property
    def response_name(self) -> str:
        """The response as it was written."""
        ...

    @property
    def response_levels(self) -> tuple[str, str] | None:
        """Labels of a binary response that count as 0 and as 1; None for numbers."""
        ...

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        ...

    @property
    def nobs(self) -> int:
        """Rows used."""
        ...

    @property
    def n_dropped(self) -> int:
        """Rows dropped because something was missing."""
        ...

    @property
    def missing(self) -> Mapping[str, int]:
        """Column -> number of dropped rows in which it was missing."""
        ...

    @property
    def n_levels(self) -> Mapping[str, int]:
        """Grouping factor -> number of levels."""
        ...

    @property
    def group_sizes(self) -> Mapping[str, tuple[float, float, float]]:
        """Grouping factor -> (minimum, median, maximum) rows of a level."""
        ...

    @property
    def loglik(self) -> float:
        """The log-likelihood, restricted if `reml`."""
        ...

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        ...

    @property
    def bic(self) -> float:
        """The Bayesian information criterion."""
        ...

    @property
    def df_model(self) -> float:
        """Number of parameters, variances included."""
        ...

    @property
    def df_method(self) -> str:
        """How the degrees of freedom of the t tests were found, or "none"."""
        ...

    @property
    def estimate_text(self) -> str:
        """How the search for the maximum ended."""
        ...

    @property
    def integral_text(self) -> str:
        """How the random effects were integrated out, and with which error."""
        ...

    @property
    def aliased(self) -> tuple[str, ...]:
        """Columns dropped because they are linear combinations of others."""
        ...

    @property
    def networks(self) -> FittedNetworks | None:
        """The fitted networks; None if the formula has none."""
        ...

    @property
    def is_neural(self) -> bool:
        """Whether the formula has networks anywhere."""
        ...

    def nn_table(self) -> Table:
        """The network terms, a row each."""
        ...

    def coef_table(self, level: float = 0.95) -> Table:
        """Fixed effects with tests and intervals."""
        ...

    def varcorr(self, level: float = 0.95) -> Table:
        """Standard deviations and correlations with intervals."""
        ...

    def check(self) -> Verdict:
        """The verdict on the fit."""
        ...
