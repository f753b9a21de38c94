"""Networks by minibatches of whole groups: a design and networks in, a fit out."""

from ngmm.training.fit import History, StochasticResult, train

__all__ = ["History", "StochasticResult", "train"]
