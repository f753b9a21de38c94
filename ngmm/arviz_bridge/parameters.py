"""Draws of all parameters of a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ParameterDraws:
    """Draws of all parameters, in units of the data.

    Attributes
    ----------
    beta
        (draws, p) fixed effects.
    roots
        For each random-effects term (draws, k, k) Lambda, a lower triangle, in units of
        the linear predictor.
    scale
        (draws,) sigma, or the dispersion of a family that has one; ones otherwise.
    outputs
        (draws, n, terms) contribution of each network to the rows.
    term_notes
        For each random-effects term what is special about its draws; empty texts if
        nothing is.
    output_note, scale_note
        The same of the outputs of networks, and of the scale.
    n_failed
        Refits that failed and are left out.
    """

    beta: Matrix
    roots: tuple[NDArray[np.float64], ...]
    scale: Vector
    outputs: NDArray[np.float64]
    term_notes: tuple[str, ...]
    output_note: str = ""
    scale_note: str = ""
    n_failed: int = 0

    @property
    def n(self) -> int:
        """Number of draws."""
        return len(self.beta)

    def dispersion(self, design_is_gaussian: bool) -> Vector:
        """(draws,) what the functions of the family take: the variance if Gaussian."""
        return self.scale**2 if design_is_gaussian else self.scale

    def fixed_part(self, design: Design) -> Matrix:
        """(draws, n) linear predictor without random effects."""
        return self.beta @ design.X.T + design.offset + self.outputs.sum(2)
