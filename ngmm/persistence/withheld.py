"""What stands in a loaded fit for what its file does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from ngmm.errors import SavedFitError

__all__ = ["Withheld"]


@dataclass(frozen=True)
class Withheld:
    """Something that was not saved: it knows its shape, and refuses all else.

    Attributes
    ----------
    what
        What it was, as a subject of a sentence: ``"the response"``.
    why
        Why it is not there, as a relative clause.
    remedy
        What to do.
    shape, dtype
        Of an array.

    Examples
    --------
    >>> y = Withheld("the response", "which was left out", "load it", (3,))
    >>> len(y)
    3
    """

    what: str
    why: str
    remedy: str
    shape: tuple[int, ...] = ()
    dtype: str = "<f8"

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0] if self.shape else self._refuse()

    def __getattr__(self, name: str) -> Any:
        # Python itself asks for names with underscores, to copy or to show an object.
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise SavedFitError(
            f"this needs {self.what}, {self.why}. {self.remedy[0].upper()}"
            f"{self.remedy[1:]}"
        )

    def __repr__(self) -> str:
        """Return what is missing, and what to do."""
        return f"<{self.what}, {self.why}; {self.remedy}>"


# Python looks operators up in the class.
for _name in (
    *("array", "array_ufunc", "array_function", "jax_array"),
    *("call", "getitem", "iter", "contains", "bool", "float", "int", "index"),
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow"),
    *("matmul", "rmatmul", "lt", "le", "gt", "ge", "neg", "abs"),
):
    setattr(Withheld, f"__{_name}__", Withheld._refuse)
