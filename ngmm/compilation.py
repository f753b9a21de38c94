"""How ngmm's functions are compiled: with the XLA options that suit a fit.

A fit runs its compiled program for milliseconds to seconds, once or a few times, so
the time of compiling counts as much as the time of running. Measured on two x86 cores
with jax 0.10 (`docs/performance.md`): without XLA's fusion emitters the objective
compiles in half the time and, for crossed factors, runs three times as fast; for small
data unoptimised machine code halves the compilation once more and costs microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import numpy as np

# Numbers in the arguments below which code quality does not matter.
SMALL = 200_000

_LEAN: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}
_QUICK: dict[str, Any] = {**_LEAN, "xla_backend_optimization_level": 0}
_ALONE: dict[str, Any] = {**_LEAN, "xla_cpu_multi_thread_eigen": False}
_OPTIONS = {"lean": _LEAN, "quick": _QUICK, "alone": _ALONE}


@cache
def _supported(kind: str) -> Any | None:
    """The options, or None where this XLA does not know them."""
    options = _OPTIONS[kind]
    try:
        lowered = jax.jit(lambda x: x + 1).lower(np.float32(0))
        lowered.compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        return None
    return options


class Compiled:
    """A jitted function in two qualities of machine code, chosen by the data's size.

    Parameters
    ----------
    fun
        Function of arrays (pytrees) and of one hashable `layout` keyword.
    heavy
        Tells from the layout whether the work is large compared with the data, as when
        rows meet nodes: then the machine code is optimised whatever the size of the
        arguments. None for never.
    small
        Numbers in the arguments below which code quality does not matter otherwise.
    alone
        Whether one call keeps to one thread: for many small products, and for calls
        that run side by side, threads that wait for each other cost more than they do.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        *,
        heavy: Callable[[Any], bool] | None = None,
        small: int = SMALL,
        alone: bool = False,
    ) -> None:
        self.fun = fun
        self.heavy = heavy
        self.small = small
        self.alone = alone
        self._jitted: dict[str, Callable[..., Any]] = {}

    def __call__(self, *args: Any, layout: Any) -> Any:
        """Run the function, compiling it if these shapes are new."""
        return self._variant(args, layout)(*args, layout=layout)

    def cache_size(self) -> int:
        """Number of programs compiled so far."""
        return sum(f._cache_size() for f in self._jitted.values())  # type: ignore[attr-defined]

    def _variant(self, args: tuple[Any, ...], layout: Any) -> Callable[..., Any]:
        size = sum(np.size(x) for x in jax.tree.leaves(args))
        heavy = self.heavy is not None and self.heavy(layout)
        quick = size < self.small and not heavy
        kind = "alone" if self.alone else ("quick" if quick else "lean")
        if kind not in self._jitted:
            self._jitted[kind] = jax.jit(
                self.fun, static_argnames="layout", compiler_options=_supported(kind)
            )
        return self._jitted[kind]
