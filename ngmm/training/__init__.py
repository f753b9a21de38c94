"""Networks by minibatches of whole groups: a design and networks in, a fit out."""

from ngmm.training.fit import StochasticResult, train
from ngmm.training.history import History

__all__ = ["History", "StochasticResult", "train"]
