"""A mixed model of a response with two classes as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d, validate_data

from ngmm.errors import DataError
from ngmm.sklearn.base import FormulaModel, checked_weights
from ngmm.sklearn.inputs import check_two_rows, checked_columns


class MixedModelClassifier(ClassifierMixin, FormulaModel):
    """A mixed model of a formula as a scikit-learn classifier of two classes.

    Parameters
    ----------
    formula
        As in `ngmm.fit`, with or without a response: ``"~ age + (1 | district)"``.
        ``.`` stands for all columns of X that are no grouping factor; ``groups`` for
        what `fit` and `predict` are given as ``groups=``.
    link
        ``"logit"`` (None), ``"probit"``, ``"cloglog"``, ...
    offset
        Column of X that is a known part of the linear predictor.
    quad, networks, estimator, contrasts, seed
        As in `ngmm.fit`.
    re, new_levels
        As in `MixedModelRegressor`. Classes and probabilities of new groups by
        ``new_levels="marginal"`` have the variation between groups averaged out of
        them; by ``"population"`` they are those of a group with b = 0.

    Attributes
    ----------
    fit_
        The `MixedModelFit`: the probability of the second class.
    classes_
        The two labels, sorted.
    n_features_in_
        Number of columns of X.
    feature_names_in_
        Their names, if X was a frame.

    Notes
    -----
    More than two classes need a model for each: `sklearn.multiclass`.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Contraception").iloc[:600]
    >>> model = ngmm.sklearn.MixedModelClassifier("~ urban + (1 | district)")
    >>> X, y = data[["urban", "district"]], data["use"]
    >>> model.fit(X, y).predict_proba(X.iloc[:1]).round(2).tolist()
    [[0.6, 0.4]]
    >>> model.predict(X.iloc[:1]).tolist()
    ['N']
    """

    def __init__(
        self,
        formula: str = "~ . + (1 | groups)",
        *,
        link: str | None = None,
        offset: str | None = None,
        quad: Any = "auto",
        networks: Mapping[str, Any] | None = None,
        estimator: Any = "auto",
        contrasts: Mapping[str, Any] | None = None,
        re: str = "all",
        new_levels: str = "population",
        seed: int = 0,
    ) -> None:
        self.formula = formula
        self.link = link
        self.offset = offset
        self.quad = quad
        self.networks = networks
        self.estimator = estimator
        self.contrasts = contrasts
        self.re = re
        self.new_levels = new_levels
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        """Two classes only."""
        tags = super().__sklearn_tags__()
        assert tags.classifier_tags is not None
        tags.classifier_tags.multi_class = False
        return tags

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X
            (n, features) frame or array.
        y
            (n,) labels of two classes.
        sample_weight
            (n,) weights: a row of weight w counts w times.
        groups
            (n,) labels of the column ``groups`` of the formula, where X has none.

        Returns
        -------
        MixedModelClassifier
            The estimator itself, with ``fit_``.

        Raises
        ------
        OptionError
            If an option is not possible.
        DataError
            If y has one class only, or the column ``groups`` is not given.
        ValueError
            If X or y cannot be used otherwise.
        """
        # Before X: without X it forgets the names of the columns.
        y = column_or_1d(validate_data(self, "no_validation", y), warn=True)
        frame = checked_columns(self, X, reset=True)
        check_consistent_length(frame, y)
        check_two_rows(frame)
        weights = checked_weights(sample_weight, frame)
        # Rows of weight zero are left out: they must not be all rows of a class.
        _two_classes(y if weights is None else y[weights > 0])
        classes, codes = _two_classes(y)
        self.classes_: NDArray[Any] = classes
        self._fit_to(
            frame,
            codes,
            weights,
            groups,
            family="bernoulli",
            link=self.link,
            quad=self.quad,
            networks=self.networks,
            estimator=self.estimator,
            contrasts=self.contrasts,
            seed=self.seed,
        )
        return self

    def predict_proba(self, X: Any, groups: Any = None) -> NDArray[np.float64]:
        """Probabilities of the two classes, (n, 2), in the order of `classes_`.

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
            (n, 2), in the order of ``classes_``.
        """
        p = self._predicted(X, groups)
        return np.column_stack([1.0 - p, p])

    def predict(self, X: Any, groups: Any = None) -> NDArray[Any]:
        """The more probable class of each row.

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
            (n,) labels.
        """
        p = self.predict_proba(X, groups)
        return self.classes_[p.argmax(axis=1)]


def _two_classes(y: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Sorted labels, and 0 or 1 for each row.

    Raises
    ------
    ValueError
        If there are not two.
    """
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) == 1:
        raise DataError(
            f"y has one class only, {classes[0]!r}; a classifier needs rows of two"
        )
    if len(classes) > 2:
        kind = type_of_target(y, input_name="y")
        raise DataError(
            "Only binary classification is supported. The type of the target is "
            f"{kind}: {len(classes)} classes. Wrap the estimator in "
            "sklearn.multiclass.OneVsRestClassifier"
        )
    return classes, codes.astype(np.float64)
