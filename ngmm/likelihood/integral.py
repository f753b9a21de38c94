"""How the random effects were integrated out, for the reader of a summary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Integral:
    """The rule that gave a log-likelihood, and what is known of its error.

    Attributes
    ----------
    rule
        ``"laplace"``, ``"adaptive"``, ``"trapezoid"``, ``"truncated"`` or ``"nested"``.
    text
        The rule in words, with its nodes.
    n_nodes
        Nodes of one integral, all dimensions together.
    dimensions
        Random effects of a level that are integrated out together.
    error
        Estimated absolute error of the log-likelihood; None if it is not known.
    """

    rule: str
    text: str
    n_nodes: int
    dimensions: int
    error: float | None
