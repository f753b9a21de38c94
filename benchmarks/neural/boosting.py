"""Boosted trees: GPBoost, with random effects, and CatBoost, with a category."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from task import Answer, Task

MIN_ROWS_IN_LEAF = 10
FOLDS = 4
SLOPE_ROUNDS = 150

CATBOOST_DEPTHS = (4, 6, 8)
CATBOOST_RATES = (0.1,)
CATBOOST_ROUNDS = 1000
CATBOOST_PATIENCE = 50


@dataclass(frozen=True)
class Search:
    """The settings of GPBoost that cross-validation chooses from.

    Attributes
    ----------
    depths, rates
        Of the trees, and of learning.
    newton
        Whether leaves are Newton steps, for normal responses only. Gradient steps are
        in units of one over the residual variance: rates that suit a variance of 1
        fail with a small one; Newton steps have no such unit.
    rounds
        The largest number of trees.
    patience
        Trees without a gain before the search stops.
    """

    depths: tuple[int, ...] = (2, 3, 5)
    rates: tuple[float, ...] = (0.1, 0.05)
    newton: tuple[bool, ...] = (False,)
    rounds: int = 500
    patience: int = 10

    @property
    def grid(self) -> list[dict[str, Any]]:
        """All combinations."""
        names = ("max_depth", "learning_rate", "leaves_newton_update")
        values = itertools.product(self.depths, self.rates, self.newton)
        return [dict(zip(names, each, strict=True)) for each in values]


# Laplace's approximation makes cross-validation slow: one rate, fewer trees.
SEARCHES = {"gaussian": Search(), "bernoulli": Search(rates=(0.1,), rounds=300)}

# Squared error finds better functions than GPBoost's default, the log-likelihood.
METRICS = {"gaussian": "mse", "bernoulli": "test_neg_log_likelihood"}


def gpboost(task: Task, threads: int, search: Search | None = None) -> Answer:
    """GPBoost, tuned by cross-validation, then fitted to all rows."""
    search = search or SEARCHES[task.family]
    return gpboost_with(task, threads, _searched(task, threads, search))


def gpboost_with(task: Task, threads: int, chosen: Mapping[str, Any]) -> Answer:
    """GPBoost with the `chosen` depth, rate, kind of leaf and number of rounds."""
    import gpboost  # pyright: ignore[reportMissingImports]

    model = _random_effects(task, threads)
    booster = gpboost.train(
        params=_tree(chosen, threads),
        train_set=_rows(task),
        gp_model=model,
        num_boost_round=chosen["rounds"],
    )
    where = _where(task)
    X = task.test[list(task.inputs)].to_numpy(float)
    latent = booster.predict(data=X, pred_latent=True, predict_var=False, **where)
    response = booster.predict(data=X, pred_latent=False, predict_var=False, **where)
    pars = np.asarray(model.get_cov_pars(), float).ravel()
    return Answer(
        version=version("gpboost"),
        mean=np.asarray(response["response_mean"], float),
        f=np.asarray(latent["fixed_effect"], float),
        sigma2=None if task.binary else float(pars[0]),
        variances=tuple(pars if task.binary else pars[1:]),
        settings=chosen,
    )


def _searched(task: Task, threads: int, search: Search) -> dict[str, Any]:
    """The settings with the lowest loss over the folds."""
    import gpboost  # pyright: ignore[reportMissingImports]

    found = []
    for settings in search.grid:
        curves = gpboost.cv(
            params=_tree(settings, threads),
            train_set=_rows(task),
            gp_model=_random_effects(task, threads),
            num_boost_round=search.rounds,
            nfold=FOLDS,
            metric=METRICS[task.family],
            early_stopping_rounds=search.patience,
            verbose_eval=False,
            seed=1,
        )
        losses = next(v for name, v in curves.items() if name.endswith("mean"))
        best = int(np.argmin(losses))
        found.append((losses[best], {**settings, "rounds": best + 1}))
    chosen = min(found, key=lambda pair: pair[0])[1]
    kept = {**asdict(search), "folds": FOLDS, "metric": METRICS[task.family]}
    return {**chosen, "search": kept}


def search_by_split(
    task: Task,
    threads: int,
    depths: tuple[int, ...],
    rates: tuple[float, ...],
    slope_rounds: int = SLOPE_ROUNDS,
) -> dict[str, Any]:
    """Settings of a model with random slopes, found at a bearable cost.

    A tree takes seconds there, so depth and rate come from the model without the
    slopes, the number of trees, `slope_rounds` at most, from the whole model; both by
    the squared error of one random fifth of the rows.
    """
    held = np.random.default_rng(1).random(len(task.train)) < 0.2
    part = replace(task, train=task.train[~held], test=task.train[held])
    search = Search(depths, rates)
    chosen, *others = search.grid
    if others:
        plain = replace(part, slopes=())
        tried = [(_stopped(plain, threads, s, search)[0], s) for s in search.grid]
        chosen = min(tried, key=lambda pair: pair[0])[1]
    most = slope_rounds if task.slopes else search.rounds
    _, rounds = _stopped(part, threads, chosen, replace(search, rounds=most))
    split = "a fifth of the rows, depth and rate without random slopes"
    kept = {**asdict(search), "slope_rounds": slope_rounds, "split": split}
    return {**chosen, "rounds": rounds, "search": kept}


def _stopped(
    task: Task, threads: int, settings: Mapping[str, Any], search: Search
) -> tuple[float, int]:
    """The lowest squared error of the test rows and the number of trees it needs."""
    import gpboost  # pyright: ignore[reportMissingImports]

    X = task.test[list(task.inputs)].to_numpy(float)
    train = _rows(task)
    model = _random_effects(task, threads)
    model.set_prediction_data(**_where(task))
    curves: dict[str, Any] = {}
    gpboost.train(
        params={**_tree(settings, threads), "metric": "mse"},
        train_set=train,
        gp_model=model,
        num_boost_round=search.rounds,
        valid_sets=[gpboost.Dataset(X, task.observed, reference=train)],
        early_stopping_rounds=search.patience,
        evals_result=curves,
        verbose_eval=False,
    )
    (losses,) = next(iter(curves.values())).values()
    best = int(np.argmin(losses))
    return losses[best], best + 1


def _tree(settings: Mapping[str, Any], threads: int) -> dict[str, Any]:
    return {
        "max_depth": settings["max_depth"],
        "learning_rate": settings["learning_rate"],
        "leaves_newton_update": settings["leaves_newton_update"],
        "min_data_in_leaf": MIN_ROWS_IN_LEAF,
        "num_threads": threads,
        "verbose": -1,
    }


def _rows(task: Task) -> Any:
    import gpboost  # pyright: ignore[reportMissingImports]

    X = task.train[list(task.inputs)].to_numpy(float)
    return gpboost.Dataset(X, task.train[task.response].to_numpy(float))


def _random_effects(task: Task, threads: int) -> Any:
    import gpboost  # pyright: ignore[reportMissingImports]

    slopes = {}
    if task.slopes:
        slopes["group_rand_coef_data"] = task.train[list(task.slopes)].to_numpy(float)
        slopes["ind_effect_group_rand_coef"] = [1] * len(task.slopes)
    return gpboost.GPModel(
        group_data=task.train[task.group].to_numpy(),
        likelihood="bernoulli_logit" if task.binary else "gaussian",
        num_parallel_threads=threads,
        **slopes,
    )


def _where(task: Task) -> dict[str, Any]:
    """Groups and slopes of the rows to predict."""
    where = {"group_data_pred": task.test[task.group].to_numpy()}
    if task.slopes:
        slopes = task.test[list(task.slopes)].to_numpy(float)
        where["group_rand_coef_data_pred"] = slopes
    return where


def catboost(task: Task, threads: int) -> Answer:
    """CatBoost with the group as a category; a fifth of the rows stops it early."""
    import catboost as cb  # pyright: ignore[reportMissingImports]

    columns = [*task.inputs, task.group]
    train = task.train[columns].astype({task.group: str})
    test = task.test[columns].astype({task.group: str})
    y = task.train[task.response].to_numpy(float)
    held = np.random.default_rng(1).random(len(y)) < 0.2
    kind = cb.CatBoostClassifier if task.binary else cb.CatBoostRegressor
    fixed = {
        "cat_features": [task.group],
        "thread_count": threads,
        "random_seed": 1,
        "verbose": False,
        "allow_writing_files": False,
    }
    found = []
    for depth, rate in itertools.product(CATBOOST_DEPTHS, CATBOOST_RATES):
        model = kind(
            depth=depth, learning_rate=rate, iterations=CATBOOST_ROUNDS, **fixed
        )
        model.fit(
            train[~held],
            y[~held],
            eval_set=(train[held], y[held]),
            early_stopping_rounds=CATBOOST_PATIENCE,
        )
        loss = next(iter(model.get_best_score()["validation"].values()))
        settings = {"depth": depth, "learning_rate": rate}
        rounds = int(model.get_best_iteration()) + 1
        found.append((loss, {**settings, "iterations": rounds}))
    chosen = min(found, key=lambda pair: pair[0])[1]
    model = kind(**chosen, **fixed).fit(train, y)
    mean = model.predict_proba(test)[:, 1] if task.binary else model.predict(test)
    return Answer(version=cb.__version__, mean=np.asarray(mean, float), settings=chosen)
