"""How a model was fitted, so that it can be fitted again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Call:
    """The data and the arguments of a fit.

    Attributes
    ----------
    fitter
        The function that fits: (formula, data, **arguments) -> fitted model.
    data
        The user's data as they were when the model was fitted.
    arguments
        Keyword arguments.
    """

    fitter: Callable[..., Any]
    data: Any
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def again(self, formula: str, **changes: Any) -> Any:
        """Fit another formula, or with other arguments; ``data=`` replaces the data."""
        arguments = {**self.arguments, **changes}
        data = arguments.pop("data", self.data)
        return self.fitter(formula, data, **arguments)
