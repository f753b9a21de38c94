"""Which of the known groups the rows of an unknown one look like.

ARMED's way with unseen groups (Nguyen, Treacher and Montillo 2023, IEEE TPAMI 45,
8081-8093): a classifier of the group from what the model reads gives each row a soft
membership of the known groups, and its random effects are the mean of theirs.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import NotSupportedError
from ngmm.inference.analysis import Analysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.networks import Inputs
from ngmm.training.classify import Examples, FittedClassifier

Matrix = NDArray[np.float64]


class Similarity:
    """Memberships of the known groups, learnt when they are first asked for.

    Parameters
    ----------
    analysis
        Of the fit whose rows are learnt from.
    """

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._found: dict[str, FittedClassifier] = {}

    def of(self, group: str, X: Matrix, inputs: tuple[Inputs, ...]) -> Matrix:
        """(n, levels) probabilities that a row is of each level of a factor.

        Parameters
        ----------
        group
            The grouping factor.
        X, inputs
            Fixed-effect columns of the rows, and what each network reads.
        """
        if group not in self._found:
            self._found[group] = self._learn(group)
        return self._found[group].probabilities(self._numbers(X, inputs))

    def _learn(self, group: str) -> FittedClassifier:
        design = self.analysis.design
        term = next(t for t in design.random if t.group == group)
        x = self._numbers(design.X, tuple(d.inputs for d in design.networks))
        if not x.shape[1]:
            raise NotSupportedError(
                'new_levels="similar" compares the rows by what the model reads beside '
                'the group, and there is nothing; use "population" or "marginal"'
            )
        return Examples(x, term.codes, term.n_levels).fit(whole=True)

    def _numbers(self, X: Matrix, inputs: tuple[Inputs, ...]) -> Matrix:
        """What is compared: fixed-effect columns and the inputs of networks."""
        columns = [X[:, self._varying]]
        for read in inputs:
            if read.codes:
                raise NotSupportedError(
                    'new_levels="similar" compares numeric inputs; a network of this '
                    "model reads a factor with many levels"
                )
            arrays = (np.asarray(a).reshape(len(X), -1) for a in read.arrays)
            columns += [np.asarray(read.x), *arrays]
        return np.hstack(columns).astype(np.float64)

    @cached_property
    def _varying(self) -> NDArray[np.bool_]:
        """Fixed-effect columns that are not constant."""
        assert not isinstance(self.analysis, LatentAnalysis)
        X = self.analysis.design.X
        return np.ptp(X, axis=0) > 0.0
