"""Fits that the tests of pictures share, and what is drawn in them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import ngmm
from tests.neural.frames import frame

Vector = NDArray[np.float64]


@cache
def dyes() -> Any:
    """One variance."""
    return ngmm.fit("Yield ~ 1 + (1 | Batch)", ngmm.datasets.load("Dyestuff"))


@cache
def singular() -> Any:
    """A variance estimated at zero."""
    return ngmm.fit("Yield ~ 1 + (1 | Batch)", ngmm.datasets.load("Dyestuff2"))


@cache
def bacteria() -> Any:
    """A response of two labels."""
    data = ngmm.datasets.load("bacteria")
    return ngmm.fit("y ~ trt + week + (1 | ID)", data, family="bernoulli")


@cache
def additive() -> Any:
    """A network without hidden layers, whose inputs add up."""
    return ngmm.fit("y ~ nn(x1, x2, c, hidden=()) + (1 | g)", frame())


@cache
def crossing() -> Any:
    """Two crossed factors and a number."""
    data = ngmm.datasets.load("sleepstudy")
    data = data.assign(part=[f"p{d % 3}" for d in data["Days"]])
    return ngmm.fit("Reaction ~ Days + (1 | Subject) + (1 | part)", data)


def line(axis: Any, label: str) -> tuple[Vector, Vector]:
    """The points of the line with this label."""
    (found,) = [one for one in axis.lines if one.get_label() == label]
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def band(axis: Any) -> tuple[Vector, Vector, Vector]:
    """x and both edges of the filled band, in the order of x."""
    (path,) = axis.collections[0].get_paths()
    corners: Any = pd.DataFrame(path.vertices, columns=pd.Index(["x", "y"]))
    edges = corners.groupby("x")["y"].agg(["min", "max"])
    return edges.index.to_numpy(), edges["min"].to_numpy(), edges["max"].to_numpy()
