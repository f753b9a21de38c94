"""The data sets in ``benchmarks/data`` and their folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parents[1] / "data"
FOLDS = 5


def wages() -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The wage panel with t in tens of years, its square, and its folds 1 to 5."""
    data = pd.read_csv(FOLDER / "wages.csv.gz")
    t = data["t"] / 10
    folds = pd.read_csv(FOLDER / "wages.folds.csv")["test_fold"]
    return data.assign(t=t, t2=t**2), folds.to_numpy(int)


def poverty() -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The poverty panel; each fold has one of the five rows of every girl."""
    data = pd.read_csv(FOLDER / "poverty.csv.gz")
    shuffled = np.random.default_rng(1).random(len(data))
    order = pd.Series(shuffled).groupby(data["id"]).rank().to_numpy(int)
    return data, 1 + (order - 1) % FOLDS


def imports() -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The import panel with the log of the trade value, the square of t, and folds."""
    path = FOLDER / "au_anual_import_commodity.csv.gz"
    data = pd.read_csv(path, low_memory=False)
    log_trade = np.log(data["trade_usd"])
    folds = np.random.default_rng(1).permutation(len(data)) % FOLDS
    return data.assign(log_trade=log_trade, t2=data["t"] ** 2), 1 + folds
