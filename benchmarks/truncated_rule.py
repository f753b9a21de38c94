"""Error of the truncated rule against its radius: a Gaussian tail, then a floor.

For groups of a few bernoulli rows with a random intercept, the log-likelihood at fixed
parameters is computed with equally spaced nodes on [-c, c], for several spacings, and
compared with an accurate rule. What lies beyond the radius weighs about exp(-c^2 / 2),
so log10 |error| falls along a line in c^2, of slope -1 / (2 ln 10) = -0.217; the
spacing of the nodes, which does not change along a line, sets a floor.

Run ``python benchmarks/truncated_rule.py`` for the table; ``--write`` keeps it, and
draws ``docs/images/truncated-rule.svg`` if matplotlib is installed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import ngmm
from records import COMMITTED, RESULTS, keep

SD = 1.5
IMAGE = "truncated-rule.svg"
SPACINGS = (1.5, 1.0, 0.75, 0.5, 0.25)
RADII = np.arange(1.0, 8.26, 0.5)


def simulate(n_groups: int = 40, size: int = 4, seed: int = 1) -> pd.DataFrame:
    """Small groups with binary responses."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), size)
    x = rng.normal(size=len(group))
    eta = -0.5 + 0.8 * x + SD * rng.normal(size=n_groups)[group]
    y = (rng.random(len(group)) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
    return pd.DataFrame({"y": y, "x": x, "g": group})


def loglik(data: pd.DataFrame, quad: object) -> float:
    """Log-likelihood at the parameters that made the data."""
    terms = ngmm.parse("y ~ x + (1 | g)")
    design, _ = ngmm.build_design(terms, data)
    model = ngmm.Model(design, ngmm.families.bernoulli(), quad=quad)
    return model.loglik([SD], beta=[-0.5, 0.8])


def errors(data: pd.DataFrame) -> pd.DataFrame:
    """Absolute error by radius (rows) and spacing (columns)."""
    truth = loglik(data, ngmm.AdaptiveQuadrature(151))
    out = pd.DataFrame(index=pd.Index(RADII, name="radius"), dtype=float)
    for spacing in SPACINGS:
        out[spacing] = [abs(loglik(data, rule_for(c, spacing)) - truth) for c in RADII]
    return out


def rule_for(radius: float, spacing: float) -> ngmm.TruncatedQuadrature:
    """Nodes about the given spacing apart that end at the radius."""
    n = max(3, round(2.0 * radius / spacing) + 1)
    return ngmm.TruncatedQuadrature(radius=float(radius), n_nodes=n)


def slope(table: pd.DataFrame) -> float:
    """Slope of log10 error in the squared radius before the floor, finest spacing."""
    error = table[SPACINGS[-1]].to_numpy()
    use = (error > 10.0 * error.min()) & (RADII >= 2.5)
    return float(np.polyfit(RADII[use] ** 2, np.log10(error[use]), 1)[0])


def draw(table: pd.DataFrame, path: Path) -> None:
    """Log error against the squared radius, a line a spacing."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2))
    for spacing in table.columns:
        axes.semilogy(
            table.index**2, table[spacing], "o-", label=f"spacing {spacing:g}"
        )
    c2 = np.array([4.0, 60.0])
    start = table[SPACINGS[-1]].loc[2.0]
    axes.semilogy(c2, start * np.exp(-(c2 - 4.0) / 2.0), "k--", label="exp(-radius²/2)")
    axes.set_xlabel("squared radius")
    axes.set_ylabel("absolute error of the log-likelihood")
    axes.set_ylim(1e-13, 1e2)
    axes.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Print the table; keep and draw it if asked to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the errors")
    ask = parser.parse_args()
    table = errors(simulate())
    print(table.map("{:.1e}".format).to_string())
    print(f"slope of log10 error in radius^2: {slope(table):.3f} (Gaussian: -0.217)")
    if not ask.write:
        return
    rows = [
        {
            "radius": float(radius),
            "spacing": spacing,
            "error": float(table[spacing].loc[radius]),
        }
        for radius in RADII
        for spacing in SPACINGS
    ]
    print(keep("truncated_rule", rows))
    images = Path(__file__).resolve().parents[1] / "docs" / "images"
    try:
        draw(table, (images if RESULTS == COMMITTED else RESULTS) / IMAGE)
    except ImportError:
        print("matplotlib is not installed: no picture")


if __name__ == "__main__":
    main()
