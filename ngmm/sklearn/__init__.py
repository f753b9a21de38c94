"""Mixed models as scikit-learn estimators: a formula in, frames in."""

from ngmm.extras import optional

optional("sklearn.base", "sklearn", "ngmm.sklearn")

from ngmm.sklearn.classifier import MixedModelClassifier  # noqa: E402
from ngmm.sklearn.regressor import MixedModelRegressor  # noqa: E402

__all__ = ["MixedModelClassifier", "MixedModelRegressor"]
