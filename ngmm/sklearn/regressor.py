"""A mixed model as a scikit-learn regressor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import validate_data

from ngmm import families
from ngmm.errors import OptionError
from ngmm.sklearn.base import FormulaModel, checked_weights
from ngmm.sklearn.inputs import check_two_rows, checked_columns

# Their response is a count of trials that a vector y does not have.
COUNTS = ("binomial", "betabinomial")


class MixedModelRegressor(RegressorMixin, FormulaModel):
    """A mixed model of a formula as a scikit-learn regressor.

    Parameters
    ----------
    formula
        As in `ngmm.fit`, with or without a response: ``"~ Days + (Days | Subject)"``.
        ``.`` stands for all columns of X that are no grouping factor; ``groups`` for
        what `fit` and `predict` are given as ``groups=``.
    family, link
        Response distribution and link function, as in `ngmm.fit`.
    offset
        Column of X that is a known part of the linear predictor.
    reml, quad, networks, estimator, contrasts, seed
        As in `ngmm.fit`.
    re
        Random effects that enter predictions: ``"all"``, ``"none"`` or ``"marginal"``,
        as in `MixedModelFit.predict`.
    new_levels
        What predictions do with groups that were not in the training data:
        ``"population"``, b = 0; ``"marginal"``, b integrated out of the mean;
        ``"similar"``, ``"sample"``, ``"error"``. Cross-validation over groups needs
        one of the former.

    Attributes
    ----------
    fit_
        The `MixedModelFit`, with all it offers: ``fit_.summary()``.
    n_features_in_
        Number of columns of X.
    feature_names_in_
        Their names, if X was a frame.

    Notes
    -----
    X is a frame, of pandas or another library, or an array of numbers, whose columns
    are then called x0, x1, ... Rows with missing values are refused.

    Examples
    --------
    >>> import ngmm
    >>> from sklearn.model_selection import GroupKFold, cross_val_score
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> model = ngmm.sklearn.MixedModelRegressor("~ Days + (Days | Subject)")
    >>> X, y = data[["Days", "Subject"]], data["Reaction"]
    >>> model.fit(X, y).predict(X.iloc[:2]).round(1).tolist()
    [254.2, 273.8]
    >>> folds = GroupKFold(3)
    >>> scores = cross_val_score(model, X, y, groups=X["Subject"], cv=folds)
    >>> len(scores)
    3
    """

    def __init__(
        self,
        formula: str = "~ . + (1 | groups)",
        family: Any = "gaussian",
        *,
        link: str | None = None,
        offset: str | None = None,
        reml: bool = False,
        quad: Any = "auto",
        networks: Mapping[str, Any] | None = None,
        estimator: Any = "auto",
        contrasts: Mapping[str, Any] | None = None,
        re: str = "all",
        new_levels: str = "population",
        seed: int = 0,
    ) -> None:
        self.formula = formula
        self.family = family
        self.link = link
        self.offset = offset
        self.reml = reml
        self.quad = quad
        self.networks = networks
        self.estimator = estimator
        self.contrasts = contrasts
        self.re = re
        self.new_levels = new_levels
        self.seed = seed

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X
            (n, features) frame or array.
        y
            (n,) response.
        sample_weight
            (n,) weights, as ``weights`` of `ngmm.fit`: precisions of a Gaussian
            response. Rows of weight zero are left out.
        groups
            (n,) labels of the column ``groups`` of the formula, where X has none.

        Returns
        -------
        MixedModelRegressor
            The estimator itself, with ``fit_``.

        Raises
        ------
        OptionError
            If an option is not possible, or the family counts successes of trials.
        DataError
            If the column ``groups`` of the formula is not given.
        ValueError
            If X or y cannot be used otherwise.
        """
        name = families.get(self.family, self.link).name
        if name in COUNTS:
            raise OptionError(
                f"family {name} counts successes of trials, which y does not have; use "
                "ngmm.fit, or MixedModelClassifier for a response of two classes"
            )
        # Before X: without X it forgets the names of the columns.
        y = validate_data(self, "no_validation", y, y_numeric=True)
        frame = checked_columns(self, X, reset=True)
        check_consistent_length(frame, y)
        check_two_rows(frame)
        self._fit_to(
            frame,
            np.asarray(y, dtype=np.float64),
            checked_weights(sample_weight, frame),
            groups,
            family=self.family,
            link=self.link,
            reml=self.reml,
            quad=self.quad,
            networks=self.networks,
            estimator=self.estimator,
            contrasts=self.contrasts,
            seed=self.seed,
        )
        return self

    def predict(self, X: Any, groups: Any = None) -> NDArray[np.float64]:
        """Means of the response.

        Parameters
        ----------
        X
            (n, features), the columns of the fit.
        groups
            (n,) labels of the column ``groups``; without them its effects are those of
            a new group.

        Returns
        -------
        ndarray
            (n,), on the scale of the response.
        """
        return self._predicted(X, groups)
