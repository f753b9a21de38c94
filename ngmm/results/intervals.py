"""Confidence intervals of all parameters as one frame."""

from __future__ import annotations

import pandas as pd

from ngmm.errors import NotSupportedError, OptionError, did_you_mean

LATER = ("profile", "bootstrap")


def check_method(method: str) -> None:
    """Refuse methods other than Wald.

    Raises
    ------
    OptionError
        If there is no such method.
    NotSupportedError
        If it comes with a later version.
    """
    if method in LATER:
        raise NotSupportedError(
            f'method="{method}" is not available in this version; use "wald"'
        )
    if method != "wald":
        raise OptionError(
            f"method must be 'wald', got {method!r}"
            f"{did_you_mean(str(method), ['wald', *LATER])}"
        )


def wald_frame(coefficients: pd.DataFrame, variances: pd.DataFrame) -> pd.DataFrame:
    """Columns estimate, conf_low, conf_high: fixed effects, then variance parameters.

    Rows of the latter are named ``sd(Days | Subject)``,
    ``cor(Intercept, Days | Subject)`` and ``sigma``.
    """
    columns = ["estimate", "conf_low", "conf_high"]
    fixed = coefficients.loc[:, columns]
    records = variances.to_dict("records")
    random = pd.DataFrame(
        [
            [
                r["sd"] if pd.isna(r["corr"]) else r["corr"],
                r["conf_low"],
                r["conf_high"],
            ]
            for r in records
        ],
        index=pd.Index(
            [_label(r["group"], r["name"], r["name2"]) for r in records], dtype=object
        ),
        columns=pd.Index(columns),
    )
    return pd.concat([fixed, random])


def _label(group: str, name: str | None, name2: str | None) -> str:
    """Name of a variance parameter; missing names may be None or NaN."""
    if not isinstance(name, str):
        return "sigma"
    if not isinstance(name2, str):
        return f"sd({name} | {group})"
    return f"cor({name2}, {name} | {group})"
