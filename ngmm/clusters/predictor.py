r"""The linear predictor of any rows under any level of a grouping factor.

.. math:: \eta_i(l) = o_i + x_i'\beta + f(x_i) + z_i' b_l + \sum_h z_{ih}' b_{h(i)},

with b the conditional modes, l a level of one grouping factor, and h the others, whose
levels stay those of the row or whose effects are zero.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design import DesignSpec, NewDesign
from ngmm.inference.analysis import Analysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.inference.marginal.mean import link_mean
from ngmm.results import MixedModelFit
from ngmm.results.rows import network_outputs, with_units

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predictor:
    """What a fit says of rows, in parts.

    Attributes
    ----------
    fit
        The fit.
    analysis
        Its analysis.
    offset
        Whether offsets are part of it. Slopes do without: offsets are known, and those
        given as an array have no values for other rows.
    """

    fit: MixedModelFit
    analysis: Analysis
    offset: bool = True

    @property
    def spec(self) -> DesignSpec:
        """How the matrices of rows are made."""
        spec = self.fit.spec
        if self.offset:
            return spec
        formula = replace(spec.formula, offsets=())
        return replace(spec, formula=formula, offset_column=None, offset_is_array=False)

    def rows(
        self,
        data: Any,
        groups: bool | Collection[str],
        *,
        levels: bool,
        argument: str = "data",
    ) -> NewDesign:
        """Matrices of rows, with hidden units where random effects have slopes on them.

        Parameters
        ----------
        data
            Columns of the rows.
        groups
            Grouping factors whose terms are needed; True for all.
        levels
            Whether the levels of the rows are.
        argument
            What messages call the data.
        """
        new = self.spec.apply(data, random=groups, levels=levels, argument=argument)
        return with_units(self.analysis, new)

    def fixed(self, new: NewDesign) -> Vector:
        """(n,) linear predictor without random effects."""
        f = network_outputs(self.analysis, new.networks, new.X)
        return new.X @ self.analysis.estimate.beta + new.offset + f.sum(1)

    def by_level(self, new: NewDesign, group: str) -> Matrix:
        """(n, levels) what the effects of each level of a factor would add."""
        modes = self.modes(group)
        terms = [t for t in new.random if t.group == group]
        return sum(
            (t.Z @ b.T for t, b in zip(terms, modes, strict=True)),
            start=np.zeros((new.n_rows, terms[0].n_levels)),
        )

    def own(self, new: NewDesign, groups: Collection[str]) -> Vector:
        """(n,) what the effects of the rows' own levels of factors add."""
        eta = np.zeros(new.n_rows)
        for group in groups:
            terms = [t for t in new.random if t.group == group]
            for t, b in zip(terms, self.modes(group), strict=True):
                eta += np.einsum("nk,nk->n", t.Z, b[t.codes])
        return eta

    def modes(self, group: str) -> list[Matrix]:
        """Modes of the terms of a factor, each (levels, k)."""
        terms = self.fit.model.design.random
        pairs = zip(terms, self.term_modes, strict=True)
        return [b for t, b in pairs if t.group == group]

    @property
    def term_modes(self) -> tuple[Matrix, ...]:
        """Modes of all terms, where these add to the linear predictor."""
        assert not isinstance(self.analysis, LatentAnalysis)
        return self.analysis.modes

    def mean(self, eta: Matrix) -> Matrix:
        """Means of linear predictors, on the scale of the response."""
        return link_mean(self.fit.model.family.transform, eta)
