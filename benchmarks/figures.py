"""Pictures of the figures on file: one function each, from the CSVs to a Figure.

``speed_ratios()`` reads the committed CSVs, ``speed_ratios(folder)`` others. Bars are
95 % intervals, 1.96 standard errors to both sides: Monte Carlo errors of rates, and of
means over data sets, folds or clusters. Colours are those of Okabe and Ito, and
markers differ too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from charts import (
    BAND,
    BLACK,
    BLUE,
    GREEN,
    GREY,
    INTERVAL,
    LEGEND,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    WIDTH,
    Look,
    guide,
    legend,
    lines,
    name_lines,
    points,
    shifts,
)
from records import COMMITTED

PROGRAMS = {
    "ngmm": Look(BLUE, "o", "ngmm"),
    "ngmm-laplace": Look(SKY, "o", "ngmm, Laplace"),
    "glmmTMB": Look(GREEN, "s", "glmmTMB"),
    "mixedlm": Look(ORANGE, "^", "mixedlm"),
    "statsmodels": Look(PURPLE, "D", "statsmodels"),
    "gpboost": Look(VERMILION, "v", "GPBoost"),
    "gpboost-cholesky": Look(BLACK, "v", "GPBoost, Cholesky"),
}
TESTS = {
    "chi2, within groups": Look(BLUE, "o", "chi2, term within groups"),
    "chi2, of the group": Look(SKY, "s", "chi2, term of the group"),
    "chibar": Look(ORANGE, "^", "chibar"),
    "exact": Look(GREEN, "D", "exact"),
    "bootstrap": Look(PURPLE, "v", "bootstrap"),
    "auto": Look(BLACK, "X", "auto"),
    "score": Look(VERMILION, "P", "score"),
}
METHODS = {
    "ngmm": Look(BLUE, "o", "ngmm"),
    "linear": Look(GREY, "s", "linear"),
    "gpboost": Look(VERMILION, "v", "GPBoost"),
    "catboost": Look(PURPLE, "D", "CatBoost"),
    "adam": Look(ORANGE, "^", "Adam"),
}
# Experiment -> score, title, whether the axis is logarithmic.
ERRORS = {
    "friedman": ("MSE of f", "Friedman, normal", False),
    "friedman-bernoulli": ("MSE of f", "Friedman, bernoulli", False),
    "xor": ("MSPE", "XOR, normal", True),
    "xor-bernoulli": ("log-loss", "XOR, bernoulli", False),
    "poverty": ("log-loss", "poverty panel", False),
    "imports": ("test MSE", "import panel", False),
}
FEWEST = 5
NETWORKS = {
    "ngmm": "random effects of channels",
    "intercepts": "random intercepts",
    "plain": "plain network",
    "plain by image": "plain, images standardised",
    "cluster input": "clusters as input",
    "cluster input by image": "clusters as input, standardised",
}
SPIRALS = (
    ("seen", "with b", "known clusters, with random effects", 0.908),
    ("seen", "without b", "... without them", 0.820),
    ("seen", "clusters at random", "... those of clusters at random", None),
    ("unseen", "without b", "new clusters, without them", 0.800),
    ("unseen", "similar clusters", "... those of similar clusters", None),
    ("unseen", "adapted to 20 rows", "... adapted to 20 rows", 0.908),
)


def speed_ratios(folder: Path = COMMITTED) -> Figure:
    """Seconds of later fits over those of lme4, by the same integral if it has it."""
    table = _read(folder, "speed").query("quantity == 'repeated'")
    theirs = table[table["adapter"].isin(("lme4", "lme4-quadrature"))]
    problems = [
        p for p in dict.fromkeys(table["problem"]) if p in set(theirs["problem"])
    ]
    figure, axes = lines(problems)
    guide(axes, 1.0)
    shown = {a: look for a, look in PROGRAMS.items() if a in set(table["adapter"])}
    for (adapter, look), shift in zip(shown.items(), shifts(shown), strict=True):
        own = table[table["adapter"] == adapter]
        at = [
            (problems.index(row.problem) + shift, row.value / _base(theirs, row))
            for row in own.itertuples()
            if row.problem in problems
        ]
        points(axes, at, look)
    axes.set_xscale("log")
    axes.set_xlabel("seconds of a later fit / those of lme4")
    return legend(figure)


def _base(theirs: Any, row: Any) -> float:
    """Seconds of lme4, by the same kind of integral if it was run."""
    same = theirs[theirs["problem"] == row.problem]
    alike = same[same["kind"] == row.kind]
    return float((alike if len(alike) else same)["value"].iloc[0])


def sizes(folder: Path = COMMITTED) -> Figure:
    """How often tests reject at 5 % what is true; the band is 4 to 6 %."""
    table = _read(folder, "calibration").query("kind == 'size'")
    rows = [
        (_normal(row.cell), row.quantity, row.value, row.error)
        for row in table.itertuples()
        if row.quantity in TESTS
    ]
    rows = sorted(rows, key=lambda row: _order(row[0])) + _network_sizes(folder)
    cells = list(dict.fromkeys(row[0] for row in rows))
    figure, axes = lines(cells)
    axes.axvspan(4.0, 6.0, color=BAND, zorder=0)
    guide(axes, 5.0)
    for test, look in TESTS.items():
        own = [row for row in rows if row[1] == test]
        at = [
            (k + shift, 100 * rate)
            for cell, _, rate, _ in own
            for k, shift in [_place(cell, test, rows, cells)]
        ]
        points(axes, at, look, [100 * error for *_, error in own])
    axes.set_xlabel("true null hypotheses rejected at 5 %, %")
    axes.set_xlim(0.0, None)
    return legend(figure)


def _place(
    cell: str,
    test: str,
    rows: Sequence[tuple[str, str, float, float]],
    cells: Sequence[str],
) -> tuple[int, float]:
    """The line of a cell, and how far from it this one of its tests stands."""
    tests = [t for t in TESTS if any(row[:2] == (cell, t) for row in rows)]
    return cells.index(cell), shifts(tests)[tests.index(test)]


def _network_sizes(folder: Path) -> list[tuple[str, str, float, float]]:
    """The same of tests of networks, where they are on file."""
    if not (folder / "network_tests.csv").exists():
        return []
    table = _read(folder, "network_tests").query(
        "quantity == 'rejected' and curve == 0 and inputs == 'of rows'"
    )
    return [
        (f"network: {_normal(r.family)}, {r.groups} groups", r.test, r.value, r.error)
        for r in table.itertuples()
        if r.test in TESTS
    ]


def coverage(folder: Path = COMMITTED) -> Figure:
    """How often 95 % intervals and bands hold the truth; the band is 93 to 97 %."""
    table = _read(folder, "calibration").query("kind == 'coverage'")
    rows = [
        (label, 100 * row.value, 100 * row.error, pointwise)
        for row in table.itertuples()
        for label, pointwise in [_interval(str(row.quantity), str(row.cell))]
        if label
    ]
    labels = list(dict.fromkeys(row[0] for row in rows))
    figure, axes = lines(labels)
    axes.axvspan(93.0, 97.0, color=BAND, zorder=0)
    guide(axes, 95.0)
    for wanted, look in (
        (False, Look(BLUE, "o", "interval, or band over all its points")),
        (True, Look(VERMILION, "x", "one point of a band")),
    ):
        own = [row for row in rows if row[3] is wanted]
        at = [(labels.index(label), value) for label, value, *_ in own]
        # Seven points of a band share a line: no bars, which would cover each other.
        points(axes, at, look, None if wanted else [row[2] for row in own])
    axes.set_xlabel("held by 95 % intervals, %")
    return legend(figure)


def _interval(quantity: str, cell: str) -> tuple[str, bool]:
    """The line that a coverage belongs to, and whether it is of one point of a band."""
    data = _normal(cell.split(": ")[1])
    known = {
        "Wald, x": "Wald, terms within groups",
        "Wald, z": "Wald, terms within groups",
        "Wald, w": "Wald, term of the group",
        "profile, sd": "profile, sd",
        "profile, sd(Intercept | g)": "profile, sd beside a slope's",
        "profile, sd(x | g)": "profile, sd of a slope",
        "profile, sigma": "profile, sigma",
        "Wald, beside a network": "Wald, beside a network",
        "bands of f, over its inputs": "band of a network",
    }
    if quantity.startswith("band, "):
        name = "smooth" if quantity[6] == "a" else "with a bump"
        return f"its partial effect, {name}: {data}", True
    return (f"{known[quantity]}: {data}" if quantity in known else ""), False


def power(folder: Path = COMMITTED) -> Figure:
    """Rejections at 5 % against the size of a curve, beside mgcv's smooth test."""
    table = _read(folder, "power").query("quantity == 'rejected'")
    cells = list(table.groupby(["family", "groups"], sort=False))
    size = (4.8 * max(1.0, len(cells) / 1.6), 3.4)
    figure, grid = plt.subplots(
        1, len(cells), figsize=size, squeeze=False, layout="constrained"
    )
    looks = {
        "ngmm": Look(BLUE, "o", "ngmm, score test of a network"),
        "mgcv": Look(ORANGE, "^", "mgcv, test of a smooth"),
    }
    for axes, ((family, groups), part) in zip(grid[0], cells, strict=True):
        for shift, (method, look) in zip((-1, 1), looks.items(), strict=True):
            own = part[part["method"] == method].sort_values("curve")
            axes.errorbar(
                own["curve"] + 0.003 * shift,
                100 * own["value"],
                100 * INTERVAL * own["error"],
                color=look.colour,
                marker=look.marker,
                label=look.label,
                capsize=2,
            )
        axes.axhline(5.0, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_title(f"{_normal(str(family))}, {groups} groups", fontsize=10)
        axes.set_xlabel("size of the curve")
        axes.set_ylabel("rejected at 5 %, %")
        axes.set_ylim(0.0, 100.0)
    grid[0][0].legend(frameon=False, fontsize=9)
    return figure


def neural_errors(folder: Path = COMMITTED) -> Figure:
    """Test errors of networks beside other methods, on the data sets all have run."""
    both = [_read(folder, name) for name in ("neural", "neural_peers")]
    table: Any = pd.concat(both)
    figure, grid = plt.subplots(2, 3, figsize=(WIDTH + 1, 4.0), layout="constrained")
    for axes, (name, (score, title, logarithmic)) in zip(
        grid.flat, ERRORS.items(), strict=True
    ):
        own = table[(table["experiment"] == name) & (table["quantity"] == score)]
        wide = own.pivot_table(index="replicate", columns="method", values="value")
        wide = wide.loc[:, wide.count() >= FEWEST].dropna()
        shown = [m for m in METHODS if m in wide]
        for k, method in enumerate(shown):
            each = wide[method]
            points(axes, [(k, each.mean())], METHODS[method], [each.sem()])
        axes.set_yticks(range(len(shown)), [METHODS[m].label for m in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_title(f"{title}, {len(wide)} sets", fontsize=10)
        axes.set_xlabel(score)
        if logarithmic:
            axes.set_xscale("log")
        axes.grid(axis="x", color=BAND)
        axes.set_axisbelow(True)
    return figure


def armed(folder: Path = COMMITTED) -> Figure:
    """Accuracies on spirals and on clustered digits, in known clusters and new ones."""
    spirals, digits = _read(folder, "spirals"), _read(folder, "digits")
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(WIDTH, 5.4), sharex=True, layout="constrained"
    )
    name_lines(upper, [label for *_, label, _ in SPIRALS])
    for k, (part, quantity, _, best) in enumerate(SPIRALS):
        rows = spirals[(spirals["part"] == part) & (spirals["quantity"] == quantity)]
        look = Look(BLUE, "o", "ngmm, spirals" if k == 0 else "")
        points(upper, [(k, rows["value"].mean())], look, [rows["value"].sem()])
        if best is not None:
            label = "best possible" if k == 0 else None
            upper.plot(best, k, "|", color=BLACK, ms=13, mew=1.5, label=label, zorder=1)
    name_lines(lower, list(NETWORKS.values()))
    for where, look in (
        ("seen", Look(BLUE, "o", "digits, known scanners")),
        ("new", Look(ORANGE, "^", "digits, new scanners")),
    ):
        values = [digits[digits["quantity"] == q]["value"] for q in _of(where)]
        at = [(k, each.mean()) for k, each in enumerate(values)]
        points(lower, at, look, [float(each.sem()) for each in values])
    lower.set_xlabel("accuracy")
    for axes in (upper, lower):
        axes.legend(**LEGEND, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _of(where: str) -> list[str]:
    return [f"{name}, {where}" for name in NETWORKS]


def agreement(folder: Path = COMMITTED) -> Figure:
    """Differences from stored numbers of other programs, every number a point."""
    table = _read(folder, "agreement")
    size = table["relative"].where(
        table["quantity"] != "loglik", table["difference"].abs()
    )
    names = {
        "loglik": "log-likelihood, absolute",
        "fixef": "fixed effects, in standard errors",
        "se": "standard errors, relative",
        "df": "Satterthwaite df, relative",
        "sd": "standard deviations, relative",
        "corr": "correlations, absolute",
        "sigma": "residual sd, relative",
        "dispersion": "dispersion, relative",
    }
    shown = [q for q in names if q in set(table["quantity"])]
    programs = {
        "lme4": Look(BLUE, "o", "lme4"),
        "glmmTMB": Look(GREEN, "s", "glmmTMB"),
        "GLMMadaptive": Look(ORANGE, "^", "GLMMadaptive, stops early"),
        "exact": Look(BLACK, "x", "exact maximum"),
    }
    figure, axes = lines([names[q] for q in shown])
    rng = np.random.default_rng(0)
    for program, look in programs.items():
        own = table[(table["program"] == program) & size.notna()]
        line = [shown.index(q) for q in own["quantity"]]
        # Nothing is nearer than rounding, and zero has no place on this axis.
        value = np.maximum(size[own.index].to_numpy(float), 1e-15)
        at = list(zip(line + rng.uniform(-0.3, 0.3, len(line)), value, strict=True))
        points(axes, at, look, alpha=0.4, markersize=3.0)
    axes.set_xscale("log")
    axes.set_xlabel("difference")
    return legend(figure)


FIGURES: Mapping[str, Callable[[Path], Figure]] = {
    "speed_ratios": speed_ratios,
    "agreement": agreement,
    "sizes": sizes,
    "coverage": coverage,
    "power": power,
    "neural_errors": neural_errors,
    "armed": armed,
}


def _read(folder: Path, name: str) -> Any:
    return pd.read_csv(Path(folder) / f"{name}.csv")


def _normal(text: str) -> str:
    """With the word of the documentation."""
    return text.replace("gaussian", "normal")


def _order(cell: str) -> tuple[str, str, int]:
    """Sorts cells by what is tested, response and number of groups."""
    what, data = cell.split(": ")
    family, groups = data.split(", ")
    return what, "" if family == "normal" else family, int(groups.split()[0])
