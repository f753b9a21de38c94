"""The public symbols of ngmm, read from its modules: for tests and for the site.

What ``ngmm.__all__`` and the ``__all__`` of the public modules name; the classes that
their functions, methods and properties return; the public members of all these classes.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

# In the order in which an API reference shows them.
MODULES = (
    "ngmm",
    "ngmm.model",
    "ngmm.families",
    "ngmm.networks",
    "ngmm.datasets",
    "ngmm.effects",
    "ngmm.diagnostics",
    "ngmm.clusters",
    "ngmm.plots",
    "ngmm.broom",
    "ngmm.intervals",
    "ngmm.comparison",
    "ngmm.persistence",
    "ngmm.sklearn",
    "ngmm.marginaleffects_adapter",
    "ngmm.results",
    "ngmm.errors",
)
# What their classes return is how ngmm computes, unless a public module names it.
MACHINERY = ("ngmm.estimation", "ngmm.likelihood")
# Made by a user, but called only by the package whose interface it has.
INTERFACES = ("ngmm.marginaleffects_adapter.MarginalEffectsModel",)


@dataclass(frozen=True)
class Symbol:
    """A public name, what it stands for, and the class it belongs to.

    ``kind`` is "function", "class", "method" or "property"; ``obj`` of a property is
    the property itself, of a method the function behind it.
    """

    name: str
    obj: Any
    kind: str
    owner: type | None = None

    @property
    def function(self) -> Any:
        """The function whose signature and body count; the class of a class."""
        if self.kind == "property":
            return getattr(self.obj, "fget", None) or self.obj.func
        return inspect.unwrap(self.obj) if self.kind != "class" else self.obj

    @property
    def doc(self) -> str:
        """The docstring, of a method that has none that of what it overrides."""
        if self.owner is not None:
            name = self.name.rpartition(".")[2]
            for base in self.owner.__mro__:
                found = vars(base).get(name)
                if found is not None and getattr(found, "__doc__", None):
                    return inspect.cleandoc(found.__doc__)
            return ""
        return inspect.cleandoc(self.obj.__doc__ or "")


def public_symbols() -> list[Symbol]:
    """All public functions, classes, methods and properties, each once."""
    return list(_symbols())


@functools.cache
def _symbols() -> tuple[Symbol, ...]:
    found: dict[int, Symbol] = {}
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            obj = getattr(module, name)
            if not getattr(obj, "__module__", "").startswith("ngmm."):
                continue
            if isinstance(obj, type) or inspect.isfunction(obj):
                kind = "class" if isinstance(obj, type) else "function"
                symbol = Symbol(f"{module.__name__}.{name}", obj, kind)
                found.setdefault(id(obj), symbol)
    todo = list(found.values())
    while todo:
        news = [s for s in _led_to(todo.pop(0)) if id(s.obj) not in found]
        found |= {id(s.obj): s for s in news}
        todo += news
    heads = [s for s in found.values() if s.owner is None]
    members = [s for s in found.values() if s.owner is not None]
    return tuple(
        s
        for head in heads
        for s in (head, *(m for m in members if m.owner is head.obj))
    )


def _led_to(symbol: Symbol) -> Iterator[Symbol]:
    """Members of a class and classes of its fields; what a function returns."""
    if symbol.name in INTERFACES:
        return
    if symbol.kind == "class":
        yield from _members(symbol)
        annotated = [
            (base.__module__, text)
            for base in symbol.obj.__mro__
            for name, text in vars(base).get("__annotations__", {}).items()
            if not name.startswith("_") and base.__module__.startswith("ngmm.")
        ]
    else:
        text = getattr(symbol.function, "__annotations__", {}).get("return", "")
        annotated = [(symbol.function.__module__, text)]
    for module, text in annotated:
        for cls in _classes(str(text), module):
            path = _exported_as(cls)
            if path is None and symbol.kind != "class" and not _is_machinery(cls):
                path = f"{cls.__module__}.{cls.__qualname__}"
            if path is not None:
                yield Symbol(path, cls, "class")


def _is_machinery(cls: type) -> bool:
    return cls.__module__.startswith(MACHINERY)


def _exported_as(cls: type) -> str | None:
    """The path under which a package of ngmm names a class."""
    package = ".".join(cls.__module__.split(".")[:2])
    if cls.__name__ in getattr(sys.modules[package], "__all__", ()):
        return f"{package}.{cls.__name__}"
    return None


def _members(symbol: Symbol) -> Iterator[Symbol]:
    """Methods and properties of a class that it, or a base inside ngmm, defines."""
    seen: set[str] = set()
    for base in symbol.obj.__mro__:
        if not base.__module__.startswith("ngmm"):
            continue
        for name, member in vars(base).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            path = f"{symbol.name}.{name}"
            if isinstance(member, property | functools.cached_property):
                yield Symbol(path, member, "property", symbol.obj)
            elif isinstance(member, classmethod | staticmethod):
                yield Symbol(path, member.__func__, "method", symbol.obj)
            elif inspect.isfunction(member):
                yield Symbol(path, member, "method", symbol.obj)


def _classes(annotation: str, module: str) -> list[type]:
    """The classes of ngmm in an annotation."""
    known = _names(sys.modules[module])
    names = {n.id for n in ast.walk(ast.parse(annotation)) if isinstance(n, ast.Name)}
    found = [known.get(name) for name in sorted(names)]
    return [
        c for c in found if isinstance(c, type) and c.__module__.startswith("ngmm.")
    ]


@functools.cache
def _names(module: ModuleType) -> dict[str, Any]:
    """What names mean in a module, those that are imported for types only too."""
    names = dict(vars(module))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec("\n".join(map(ast.unparse, node.body)), names)
    return names
