"""One verdict on a fit: can its numbers be relied on, and if not, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.estimation.status import Status

# A log-likelihood that a Newton step can still raise by this much is not a maximum:
# it would move an estimate by a thousandth of its standard error.
LARGEST_GAIN = 1e-6
# Relative to the largest eigenvalue, after scaling to unit diagonal: rounding error of
# a Hessian that is singular in exact arithmetic stays above it.
NEGATIVE = -1e-7

# Below this share of what the fixed effects leave, the residual standard deviation has
# lost its digits: relative variances of 1e10 are what double precision can carry.
SMALLEST_RESIDUAL = 2e-5
# The same where the likelihood is an approximate integral.
SMALLEST_SPREAD = 1e-4

# Error of the log-likelihood that moves estimates visibly, and one worth a word:
# likelihood-ratio statistics are off by at most four times as much.
WRONG_INTEGRAL = 0.1
ROUGH_INTEGRAL = 1e-3

# Share of effective draws below which the standard error itself is not to be trusted.
FEW_DRAWS = 0.1

# On a logit scale 20 standard deviations are probabilities of 1 in 10^8: no data tell
# such levels from ones without any variation.
LARGEST_SD = {"logit": 20.0, "probit": 20.0, "cloglog": 20.0}


@dataclass(frozen=True)
class Limit:
    """A dispersion parameter beyond which a family is another one in disguise.

    Attributes
    ----------
    parameter
        Its name.
    largest
        Where the two can no longer be told apart.
    text
        What the data show.
    remedy
        The family to use.
    """

    parameter: str
    largest: float
    text: str
    remedy: str


LIMITS = {
    "negative_binomial": Limit(
        "size", 1e6, "the counts show no overdispersion beyond Poisson", "poisson"
    ),
    "betabinomial": Limit(
        "phi", 1e6, "the counts show no overdispersion beyond binomial", "binomial"
    ),
}


@dataclass(frozen=True)
class Message:
    """Something wrong with a fit.

    Attributes
    ----------
    text
        What happened, and what it means for the numbers.
    remedy
        The call that helps.
    """

    text: str
    remedy: str


@dataclass(frozen=True)
class Verdict:
    """What `check()` found.

    Attributes
    ----------
    messages
        Reasons not to rely on the numbers; empty when all is well.
    notes
        Ordinary results that are worth knowing, such as a variance of zero.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> verdict = fit.check()
    >>> verdict.ok, verdict.tag, verdict.messages
    (True, '[OK]', ())
    """

    messages: tuple[Message, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.messages

    @property
    def tag(self) -> str:
        """``[OK]`` or ``[WARN n]``."""
        return "[OK]" if self.ok else f"[WARN {len(self.messages)}]"

    def __str__(self) -> str:
        """The tag, then messages with what to do, then notes."""
        lines = [self.tag]
        for m in self.messages:
            lines += [f"! {m.text}", f"  -> {m.remedy}"]
        return "\n".join(lines + [f"note: {note}" for note in self.notes])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def optimum_messages(
    status: Status, gain: float, n_steps: int, hessian: NDArray[np.float64]
) -> list[Message]:
    """What is wrong with the point where the search ended."""
    out: list[Message] = []
    if status is Status.NOT_FINITE:
        return [
            Message(
                f"{status.sentence}: none of the estimates mean anything",
                "check the data for extreme values with data.describe()",
            )
        ]
    if status is Status.MAX_STEPS:
        out.append(
            Message(
                f"{status.sentence} ({n_steps}): parameters are not estimates, the "
                f"log-likelihood can still rise by about {gain:.1g}",
                f"ngmm.fit(..., estimator=ngmm.Newton(max_steps={10 * n_steps}))",
            )
        )
    elif not gain <= LARGEST_GAIN:
        out.append(
            Message(
                f"{status.sentence}, but the log-likelihood can still rise by about "
                f"{gain:.1g}: estimates and standard errors are approximate",
                "simplify the random effects, or rescale columns whose sizes differ "
                "by many powers of ten",
            )
        )
    if not _is_convex(hessian):
        out.append(
            Message(
                "the log-likelihood curves upwards at the estimate: it is a saddle "
                "point, not a maximum, and standard errors mean nothing",
                "simplify the random effects, e.g. (x || g) for (x | g)",
            )
        )
    return out


def residual_messages(
    share: float, smallest: float = SMALLEST_RESIDUAL
) -> list[Message]:
    """What is wrong when the random effects leave next to no residual.

    Parameters
    ----------
    share
        Residual standard deviation over the root mean square that fixed effects alone
        would leave.
    smallest
        The least share that is none.
    """
    if not share < smallest:
        return []
    return [
        Message(
            f"the residual standard deviation is {share:.1g} of what the fixed effects "
            "alone leave: the random effects all but reproduce the response, and the "
            "variances and standard errors have lost their digits",
            "check that the response varies within the levels of every grouping "
            "factor; if not, remove that factor or use one row a level",
        )
    ]


def integral_messages(error: float | None) -> list[Message]:
    """What is wrong when the random effects are integrated out roughly.

    Parameters
    ----------
    error
        Estimated error of the log-likelihood; None where it is not known.
    """
    if error is None or error <= WRONG_INTEGRAL:
        return []
    return [
        Message(
            f"the log-likelihood carries an error of about {error:.2g} from "
            "integrating out the random effects: estimates and tests are unreliable",
            'ngmm.fit(..., quad="auto"), or more nodes, such as quad=25',
        )
    ]


def integral_notes(error: float | None) -> list[str]:
    """A word on an integral that is good enough, but not for every purpose."""
    if error is None or not ROUGH_INTEGRAL < error <= WRONG_INTEGRAL:
        return []
    note = (
        f"the log-likelihood carries an error of about {error:.1g} from integrating "
        'out the random effects; more nodes or quad="auto" make it smaller'
    )
    return [note]


def importance_note(
    loglik: float, found: float, std_error: float, n: int, n_effective: float
) -> str:
    """What importance sampling found of the error of a log-likelihood."""
    note = (
        f"importance sampling with {n:,} draws puts the log-likelihood at {found:.3f} "
        f"(standard error {std_error:.1g}): the value of the fit, {loglik:.3f}, is off "
        f"by {loglik - found:+.2g}. Comparisons of models that differ in their random "
        "effects carry errors of this size"
    )
    if n_effective < FEW_DRAWS * n:
        note += (
            f". A few draws decide (they are worth {n_effective:.0f} equal ones): take "
            "this as a rough figure"
        )
    return note


def mode_messages(n_unsettled: int) -> list[Message]:
    """What is wrong when conditional modes were not found."""
    if not n_unsettled:
        return []
    return [
        Message(
            f"the random effects of {n_unsettled} level{'s' * (n_unsettled != 1)} have "
            "no settled conditional mode: the log-likelihood is rough there",
            "rescale columns whose sizes differ by many powers of ten, or use "
            "quad=ngmm.TruncatedQuadrature()",
        )
    ]


def domain_messages(link: str, bounded: bool, failed: bool) -> list[Message]:
    """Why a search under a link that needs a positive linear predictor goes wrong."""
    if not (bounded and failed):
        return []
    return [
        Message(
            f"the {link} link needs a positive linear predictor, and random effects "
            "can take it below zero: the log-likelihood has an edge there",
            'ngmm.fit(..., link="log")',
        )
    ]


def runaway_messages(
    link: str, group: str, names: Sequence[str], sd: NDArray[Any]
) -> list[Message]:
    """What is wrong when a variance on the scale of the link has no bound."""
    largest = LARGEST_SD.get(link, np.inf)
    columns = ", ".join(repr(name) for name in group.split(":"))
    return [
        Message(
            f"sd({name} | {group}) = {s:.3g} on the {link} scale: the variance runs "
            "away, because in nearly every level all responses are the same. Estimates "
            "and standard errors depend on where the search stopped",
            f"look at the responses of each level, data.groupby([{columns}]); use a "
            f"coarser group, or remove ({name} | {group})",
        )
        for name, s in zip(names, sd, strict=True)
        if s > largest
    ]


def dispersion_notes(family: str, dispersion: float | None) -> list[str]:
    """A word on a dispersion parameter that has run to where it means nothing."""
    limit = LIMITS.get(family)
    if limit is None or dispersion is None or dispersion <= limit.largest:
        return []
    note = (
        f"{limit.parameter} = {dispersion:.1g} (boundary): {limit.text}. Fixed effects "
        f'are valid; family="{limit.remedy}" has the same likelihood'
    )
    return [note]


def _is_convex(hessian: NDArray[np.float64]) -> bool:
    """Whether the Hessian of the objective has no negative direction."""
    if not np.isfinite(hessian).all():
        return False
    scale = np.sqrt(np.abs(np.diag(hessian)))
    scale = np.where(scale > 0, scale, 1.0)
    values = np.linalg.eigvalsh(hessian / np.outer(scale, scale))
    return bool(values[0] >= NEGATIVE * max(float(values[-1]), 1.0))


def boundary_notes(
    group: str,
    names: Sequence[str],
    sd: NDArray[Any],
    correlation: NDArray[Any],
    rank: int,
) -> list[str]:
    """Notes on variances of zero and perfect correlations of one term.

    A covariance matrix of three effects or more can lack rank without either; it gets a
    note of its own.
    """
    out = [
        f"the variance of {name} | {group} is estimated at 0 (boundary): the data show "
        "no more variation between levels than chance would. Fixed effects are valid; "
        "the model without this term has the same likelihood"
        for name, s in zip(names, sd, strict=True)
        if s == 0.0
    ]
    for i in range(len(names)):
        for j in range(i):
            if sd[i] > 0 and sd[j] > 0 and abs(correlation[i, j]) > 1 - 1e-8:
                sign = "+1" if correlation[i, j] > 0 else "-1"
                out.append(
                    f"the correlation of {names[j]} and {names[i]} | {group} is "
                    f"estimated at {sign} (boundary): the data do not tell these "
                    "effects apart. Fixed effects are valid; compare with the same "
                    "term written with ||"
                )
    if not out and rank < len(names):
        out.append(
            f"the covariance matrix of {', '.join(names)} | {group} has rank {rank} of "
            f"{len(names)} (boundary): the data do not tell all these effects apart. "
            "Fixed effects are valid, intervals of the correlations are rough; compare "
            "with the same term written with ||"
        )
    return out


def search_messages(status: Status, kind: str) -> list[Message]:
    """What is wrong with the search for the weights of networks.

    Parameters
    ----------
    status
        How it ended.
    kind
        ``"evidence"``, ``"minibatches"`` or ``"linear"``.
    """
    if status is Status.CONVERGED:
        return []
    if status is Status.COLLAPSED:
        kind = "adversary"
    found = _SEARCHES[kind]
    return [replace(found, text=f"{found.text}: {status.sentence}")]


_SEARCHES = {
    "evidence": Message(
        "the search for the weights of the networks did not settle, so that they and "
        "the standard errors are approximate",
        "ngmm.fit(..., estimator=ngmm.Evidence(max_steps=400)), or fewer inputs",
    ),
    "minibatches": Message(
        "the training of the networks did not settle, so that they fit the data less "
        "well than they could",
        "more epochs: estimator=ngmm.Stochastic(epochs=...), or ngmm.Joint(epochs=...) "
        "where that was the estimator",
    ),
    "adversary": Message(
        "the adversary was too strong",
        "ngmm.Adversary(strength=0.1) or less",
    ),
    "linear": Message(
        "the search for the coefficients did not settle",
        "write the inputs as linear terms, with estimator=ngmm.Newton(max_steps=2000)",
    ),
}


def network_messages(
    edf: float,
    n_rows: int,
    finite: bool,
    gain: float | None = None,
    *,
    against: bool = False,
) -> list[Message]:
    """What is wrong with networks; gain is of the log-likelihood over none of them.

    `against`: whether they were trained against an adversary.
    """
    out: list[Message] = []
    if gain is not None and not gain > 0.0:
        out.append(
            Message(
                "the training of the networks went astray: the log-likelihood is "
                f"{-gain:.3g} lower than without them",
                "ngmm.Adversary(strength=0.1) or less"
                if against
                else "ngmm.Stochastic(optimizer=optax.adamw(1e-3)), a smaller rate, or "
                "the default optimizer",
            )
        )
    if not finite:
        out.append(
            Message(
                "the output of a network is not finite for some rows",
                "standardise its inputs, or bound the output of your own network",
            )
        )
    if edf > 0.5 * n_rows:
        out.append(
            Message(
                f"the networks use {edf:.0f} effective parameters for {n_rows} rows: "
                "they follow the noise",
                "nn(..., hidden=(3,)), fewer inputs, or more data",
            )
        )
    return out


def member_notes(statuses: Sequence[Status]) -> list[str]:
    """What to know of averaged searches beside the best, whose status is judged."""
    moving = sum(status is not Status.CONVERGED for status in statuses[1:])
    if not moving:
        return []
    note = (
        f"{moving} of the {len(statuses)} searches that are averaged were still moving "
        "when their steps ended: ngmm.Evidence(max_steps=...) gives them more"
    )
    return [note]
