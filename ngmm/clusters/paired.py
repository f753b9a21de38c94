"""Shares of inputs in several fits or levels, compared in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.results.columns import floats

Vector = NDArray[np.float64]

# Standard errors of differences of shares below this one are rounding.
ROUNDING = 1e-9
NUMBERS = ("difference", "std_error", "statistic", "df", "p_value")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Shares of the inputs, and what they are of.

    Attributes
    ----------
    shares
        (pairs, inputs); missing in a pair in which no input has a slope.
    what
        What the pairs are: ``"10 fits"``.
    """

    shares: NDArray[np.float64]
    what: str

    @property
    def known(self) -> NDArray[np.float64]:
        """The shares that are not missing."""
        return self.shares[np.isfinite(self.shares).all(axis=1)]

    def mean(self) -> Vector:
        """(inputs,) means; missing if all are."""
        return self.known.mean(axis=0) if len(self.known) else self.shares[0]

    def tests(
        self, names: Sequence[str], least: str, probes: Sequence[str]
    ) -> pd.DataFrame:
        """A row a probe: Student's test that `least` has a larger share, one-sided.

        Parameters
        ----------
        names
            The inputs, in the order of the shares.
        least
            The true input that is compared with each probe.
        probes
            The probes.
        """
        from scipy.special import stdtr

        shares = self.known
        n, out = len(shares), []
        for probe in probes:
            row: dict[str, float] = dict.fromkeys(NUMBERS, np.nan)
            d = shares[:, names.index(least)] - shares[:, names.index(probe)]
            if n:
                row["difference"] = float(d.mean())
            if n > 1:
                se = float(d.std(ddof=1) / np.sqrt(n))
                row["std_error"] = se if se > ROUNDING else 0.0
            if row["std_error"] > 0:
                row["statistic"] = row["difference"] / row["std_error"]
                row["df"] = n - 1.0
                row["p_value"] = float(stdtr(n - 1.0, -row["statistic"]))
            out.append({"input": probe, **row})
        return pd.DataFrame(out)

    def text(self, least: str, tests: pd.DataFrame) -> str:
        """What was compared, and why a test is missing."""
        if len(self.known) < 2:
            return f"no tests: {self.what}, and a pair needs two with slopes"
        text = f"tests: share of {least} less that of a probe, paired over {self.what}"
        if np.isnan(floats(tests, "p_value")).any():
            text += "; no test where the difference is the same in all pairs"
        left_out = len(self.shares) - len(self.known)
        if left_out:
            text += f"; {left_out} without any slope left out"
        return text
