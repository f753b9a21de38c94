"""The methods by name; programs that are not installed raise ImportError when asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from adam import adam
from boosting import catboost, gpboost
from task import Answer, Task

# Rows up to which a fit is made again, to see what it takes once compiled.
MOST_REPEATED = 1_500


def ngmm(task: Task, threads: int, **options: Any) -> Answer:
    """A network of all inputs in ngmm, fitted twice if it is quick.

    No option is given unless the experiment says so.
    """
    del threads  # jax takes what there is
    network = f"nn({', '.join(task.inputs)})"
    linear = [*task.inputs] if task.linear_terms else []
    repeat = len(task.train) <= MOST_REPEATED
    return _fitted(task, [*linear, network], repeat=repeat, neural=True, **options)


def linear(task: Task, threads: int) -> Answer:
    """The (generalized) linear mixed model with the same random effects."""
    del threads
    return _fitted(task, [*task.inputs], repeat=False, neural=False)


def _fitted(
    task: Task, terms: list[str], *, repeat: bool, neural: bool, **options: Any
) -> Answer:
    import ngmm as package

    effects = " + ".join(["1", *task.slopes])
    formula = f"{task.response} ~ {' + '.join(terms)} + ({effects} | {task.group})"

    def fit() -> Any:
        return package.fit(formula, task.train, family=task.family, **options)

    fitted = fit()
    again = _seconds(fit) if repeat else None
    mean = fitted.predict(task.test, new_levels="population")
    f = fitted.predict(task.test, re="none", kind="link")
    variances = fitted.varcorr().frame.query("name2.isna() and group != 'Residual'")
    return Answer(
        version=package.__version__,
        mean=mean.to_numpy(),
        f=f.to_numpy(),
        sigma2=None if task.binary else float(fitted.sigma**2),
        variances=tuple(variances["variance"]),
        coefficients=dict(fitted.fixef),
        edf=float(fitted.nn_table().frame["edf"].sum()) if neural else None,
        again=again,
        settings={"formula": formula, **{k: str(v) for k, v in options.items()}},
    )


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


METHODS: dict[str, Callable[[Task, int], Answer]] = {
    "ngmm": ngmm,
    "linear": linear,
    "gpboost": gpboost,
    "catboost": catboost,
    "adam": adam,
}
