"""Every public symbol has a docstring that says all a user needs, in one form."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import doctest
import functools
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from docutils.core import publish_doctree
from numpydoc.docscrape import NumpyDocString
from numpydoc.docscrape_sphinx import SphinxDocString

from ngmm import errors, networks
from tests.public_surface import Symbol, public_symbols

Check = Callable[[Symbol], None]

SYMBOLS = public_symbols()
CALLABLES = [s for s in SYMBOLS if s.kind in ("function", "method")]
CLASSES = {s.obj: s for s in SYMBOLS if s.kind == "class"}

# Their methods are documented once; a network that has them says what is its own.
PROTOCOLS = (
    networks.Network,
    networks.Layered,
    networks.Varying,
    networks.Reconstructing,
    networks.Adaptable,
)

# Who is to be named as the source of a published method.
SOURCES = {
    "ngmm.fit": ("Bates", "Pinheiro", "MacKay", "Fai", "Kenward"),
    "ngmm.lrt": (
        "Self & Liang",
        "Stram & Lee",
        "Crainiceanu",
        "Silvapulle",
        "Lin (1997)",
        "Wasserman",
    ),
    "ngmm.compare": ("Vehtari",),
    "ngmm.AdaptiveQuadrature": ("Liu & Pierce", "Pinheiro & Bates"),
    "ngmm.TruncatedQuadrature": ("Trefethen",),
    "ngmm.Laplace": ("Pinheiro & Bates", "Tierney & Kadane"),
    "ngmm.Adversary": ("Ganin", "Nguyen"),
    "ngmm.Evidence": ("MacKay", "Wood & Fasiolo"),
    "ngmm.Newton": ("More & Sorensen",),
    "ngmm.Model": ("Bates", "Pinheiro"),
    "ngmm.MixedModelFit.coef_table": ("Fai & Cornelius", "Kenward & Roger"),
    "ngmm.MixedModelFit.contest": ("Fai & Cornelius", "Kenward & Roger"),
    "ngmm.MixedModelFit.anova": ("Kuznetsova", "Kenward & Roger"),
    "ngmm.MixedModelFit.ranova": ("Self & Liang",),
    "ngmm.MixedModelFit.test_linear": ("Lin (1997)", "Zhang & Lin", "Wasserman"),
    "ngmm.MixedModelFit.collinearity": ("Fox & Monette",),
    "ngmm.MixedModelFit.resid": ("Dunn & Smyth",),
    "ngmm.comparison.anova": ("Kuznetsova", "Kenward & Roger"),
    "ngmm.comparison.contest": ("Fai & Cornelius", "Kenward & Roger"),
    "ngmm.comparison.ranova": ("Self & Liang", "Stram & Lee"),
    "ngmm.comparison.test_linear": ("Lin (1997)", "Zhang & Lin", "Wasserman"),
    "ngmm.intervals.profile": ("Bates", "Venzon"),
    "ngmm.intervals.bootstrap": ("Davison & Hinkley", "Field & Welsh"),
    "ngmm.intervals.bootstrap.Bootstrap.conf_int": ("Efron", "Davison & Hinkley"),
    "ngmm.intervals.cluster_covariance": ("Liang & Zeger", "White"),
    "ngmm.diagnostics.r2": ("Nakagawa & Schielzeth", "Johnson"),
    "ngmm.diagnostics.icc": ("Nakagawa",),
    "ngmm.diagnostics.influence": ("Cook", "Belsley", "Pregibon"),
    "ngmm.diagnostics.normality": ("Anderson & Darling", "Lange & Ryan"),
    "ngmm.diagnostics.overdispersion": ("McCullagh & Nelder",),
    "ngmm.diagnostics.residual_tests": ("Dunn & Smyth", "Hartig"),
    "ngmm.effects.means": ("Searle", "Lenth"),
    "ngmm.effects.comparisons": ("Norton", "Arel-Bundock"),
    "ngmm.effects.slopes": ("Fornberg",),
    "ngmm.effects.importance": ("Breiman", "Jansen"),
    "ngmm.effects.partial": ("Friedman",),
    "ngmm.clusters.importance": ("Nguyen",),
    "ngmm.clusters.with_probes": ("Nguyen",),
    "ngmm.clusters.latent_scores": ("Davies & Bouldin", "Calinski"),
    "ngmm.networks.Autoencoder": ("Nguyen",),
    "ngmm.plots.partial": ("Fox & Weisberg",),
    "ngmm.plots.profile_zeta": ("Bates",),
    "ngmm.plots.residuals": ("Dunn & Smyth",),
    "ngmm.plots.calibration": ("Wilson",),
    "ngmm.broom.augment": ("broom.mixed", "Cook"),
    "ngmm.broom.glance": ("broom.mixed",),
    "ngmm.broom.tidy": ("broom.mixed",),
    "ngmm.marginaleffects_adapter.MarginalEffectsModel": ("Arel-Bundock",),
    "ngmm.families.gaussian": ("McCullagh & Nelder",),
    "ngmm.families.bernoulli": ("McCullagh & Nelder",),
    "ngmm.families.binomial": ("McCullagh & Nelder",),
    "ngmm.families.poisson": ("McCullagh & Nelder",),
    "ngmm.families.gamma": ("McCullagh & Nelder",),
    "ngmm.families.negative_binomial": ("Hilbe",),
    "ngmm.families.inverse_gaussian": ("Tweedie",),
    "ngmm.families.beta": ("Ferrari",),
    "ngmm.families.betabinomial": ("Skellam",),
}

ARRAYS = re.compile(
    r"\b(Array|ArrayLike|NDArray|ndarray|Vector|Matrix|Series|DataFrame|Index)\b"
)
# A shape such as (n, p) or (n,), or the words for one.
SHAPE = re.compile(
    r"\(\w+,( [\w.-]+,?)*\)|"
    r"\b(a|an|one|each|every|per|by|of the|for each) (\w+ )?"
    r"(rows?|columns?|entry|entries|values?|levels?|groups?|terms?|coefficients?)\b",
    re.IGNORECASE,
)


def _ids(symbols: list[Symbol]) -> list[str]:
    return [s.name.removeprefix("ngmm.") for s in symbols]


# A test for each symbol, not for each check of it: two thousand tests take longer to
# set up than to run.
CHECKS: list[tuple[Check, frozenset[str]]] = []


def of(symbols: list[Symbol]) -> Callable[[Check], Check]:
    """Register a check of these symbols."""

    def register(check: Check) -> Check:
        CHECKS.append((check, frozenset(s.name for s in symbols)))
        return check

    return register


@pytest.mark.parametrize("symbol", SYMBOLS, ids=_ids(SYMBOLS))
def test_docstring(symbol: Symbol) -> None:
    problems: list[str] = []
    for check, names in CHECKS:
        if symbol.name in names:
            try:
                check(symbol)
            except AssertionError as problem:
                problems.append(f"{check.__name__}: {problem}")
    assert not problems, "\n".join(problems)


@functools.cache
def parsed(symbol: Symbol) -> NumpyDocString:
    return NumpyDocString(symbol.doc)


def implements_protocol(symbol: Symbol) -> bool:
    """Whether a public protocol documents the method."""
    name = symbol.name.rpartition(".")[2]
    return symbol.owner not in PROTOCOLS and any(
        name in vars(p) and set(_methods(p)) <= set(dir(symbol.owner))
        for p in PROTOCOLS
    )


def _methods(cls: type) -> list[str]:
    return [name for name in vars(cls) if not name.startswith("_")]


DOCUMENTED_HERE = [s for s in SYMBOLS if not implements_protocol(s)]
CALLED_HERE = [s for s in CALLABLES if not implements_protocol(s)]


def test_that_the_surface_is_whole() -> None:
    """What is known to be public is found: functions, results and their members."""
    names = {s.name for s in SYMBOLS}
    assert len(names) == len(SYMBOLS) > 250
    assert names >= {
        "ngmm.fit",
        "ngmm.lrt",
        "ngmm.MixedModelFit.predict",
        "ngmm.MixedModelFit.loglik",
        "ngmm.design.Design",
        "ngmm.results.Table.to_frame",
        "ngmm.inference.verdict.Verdict.ok",
        "ngmm.intervals.bootstrap.Bootstrap.conf_int",
        "ngmm.families.Family",
        "ngmm.errors.DataError",
        "ngmm.plots.lattice",
    }
    assert not [n for n in names if any(p.startswith("_") for p in n.split("."))]


@of(SYMBOLS)
def the_first_line_is_a_sentence(symbol: Symbol) -> None:
    first, *rest = symbol.doc.splitlines() or [""]
    assert first.endswith("."), first
    assert first[0].isupper() or not first[0].islower() or first[0] == "`", first
    assert not rest or not rest[0].strip(), "the summary has more than one line"


def _parameters(symbol: Symbol) -> list[str]:
    """Names of the arguments; of a class those that make an object of it."""
    if symbol.kind == "class":
        if not _is_made_by_call(symbol.obj):
            return []
        signature = inspect.signature(symbol.obj)
    else:
        signature = inspect.signature(symbol.function)
    names = list(signature.parameters)
    if symbol.owner is not None and names[:1] in (["self"], ["cls"]):
        names = names[1:]
    return [n for n in names if not n.startswith("_")]


def _is_made_by_call(cls: type) -> bool:
    return cls not in PROTOCOLS and (
        dataclasses.is_dataclass(cls) or inspect.isfunction(vars(cls).get("__init__"))
    )


def _names(parsed: NumpyDocString, *sections: str) -> list[str]:
    entries = [entry for section in sections for entry in parsed[section]]
    return [n.lstrip("*") for entry in entries for n in entry.name.split(", ")]


@of([s for s in DOCUMENTED_HERE if s.kind != "property"])
def parameters_are_those_of_the_signature(symbol: Symbol) -> None:
    given = parsed(symbol)
    expected = _parameters(symbol)
    documented = _names(given, "Parameters")
    if symbol.kind == "class":
        attributes = _names(given, "Attributes")
        known = {*expected, *_attributes(symbol.obj)}
        assert set(attributes) <= known, "attributes that are none"
        inherited = {n for base in symbol.obj.__mro__ for n in _documented(base)}
        assert set(expected) <= {*documented, *attributes, *inherited}
        assert set(documented) <= set(expected)
    else:
        assert documented == expected
    entries = [*given["Parameters"], *given["Attributes"]]
    assert not [e.name for e in entries if not " ".join(e.desc).strip()]


def _documented(cls: type) -> list[str]:
    """Parameters and attributes in the docstring of a public class."""
    if cls not in CLASSES:
        return []
    return _names(parsed(CLASSES[cls]), "Parameters", "Attributes")


def _attributes(cls: type) -> set[str]:
    annotated = {
        n for base in cls.__mro__ for n in vars(base).get("__annotations__", {})
    }
    return annotated | set(dir(cls)) | _assigned(cls)


def _assigned(cls: type) -> set[str]:
    """Names of attributes that ``__init__`` or ``fit`` sets on the object."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }


@of(CALLED_HERE)
def what_comes_back_is_described(symbol: Symbol) -> None:
    returns = symbol.function.__annotations__.get("return")
    entries = parsed(symbol)["Returns"] or parsed(symbol)["Yields"]
    if returns in ("None", None):
        assert not entries
        return
    assert entries, f"returns {returns}"
    for entry in entries:
        assert entry.type, "no type"
        assert " ".join(entry.desc).strip(), "no description"


@of(SYMBOLS)
def errors_are_listed(symbol: Symbol) -> None:
    listed = {entry.type for entry in parsed(symbol)["Raises"]}
    for name in listed:
        error = getattr(errors, name, None) or getattr(builtins, name, None)
        assert isinstance(error, type), name
        assert issubclass(error, Exception), name
    functions = [symbol.function]
    if symbol.kind == "class":
        makers = ("__init__", "__post_init__")
        own = vars(symbol.obj)
        functions = [own[m] for m in makers if _is_written(own.get(m))]
    assert listed >= {name for f in functions for name in _raised(f)}


def _is_written(function: Any) -> bool:
    """Whether somebody wrote it, and not `dataclasses`."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename.endswith(".py")


def _raised(function: Any) -> set[str]:
    """Errors of ngmm in a function and in the private functions of its module."""
    functions = _functions(sys.modules[function.__module__])
    todo: list[ast.AST] = [ast.parse(textwrap.dedent(inspect.getsource(function)))]
    seen: set[str] = set()
    found: set[str] = set()
    while todo:
        for node in ast.walk(todo.pop()):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                found.add(ast.unparse(node.exc.func).rpartition(".")[2])
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                name = node.func.id
                if name.startswith("_") and name in functions and name not in seen:
                    seen.add(name)
                    todo.append(functions[name])
    return {n for n in found if issubclass(_error(n), errors.NgmmError)}


@functools.cache
def _functions(module: ModuleType) -> dict[str, ast.AST]:
    body = ast.parse(inspect.getsource(module)).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def _error(name: str) -> type:
    found = getattr(errors, name, None)
    return found if isinstance(found, type) else object


@of(DOCUMENTED_HERE)
def an_example_runs(symbol: Symbol) -> None:
    """The examples are run as doctests; here they must exist and show something."""
    if symbol.owner is None:
        assert _shows(_examples(symbol.doc)), "no example that shows something"
        return
    name = re.escape(symbol.name.rpartition(".")[2])
    examples = _examples(symbol.doc) + _examples(CLASSES[symbol.owner].doc)
    used = [e for e in examples if re.search(rf"\.{name}\b", e.source)]
    assert used, "no example uses it, here or in the docstring of the class"
    assert _shows(examples)


def _examples(doc: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(doc)


def _shows(examples: list[doctest.Example]) -> bool:
    assert not [e for e in examples if e.options.get(doctest.SKIP)], "skipped"
    return any(e.want or "assert" in e.source for e in examples)


@of(DOCUMENTED_HERE)
def arrays_have_a_shape(symbol: Symbol) -> None:
    if symbol.kind == "class":
        return
    annotations = symbol.function.__annotations__
    if symbol.kind == "property":
        if ARRAYS.search(annotations.get("return", "")):
            assert SHAPE.search(symbol.doc), symbol.doc
        return
    entries = {
        name: " ".join([e.type, *e.desc])
        for e in parsed(symbol)["Parameters"]
        for name in e.name.lstrip("*").split(", ")
    }
    returned = [" ".join([e.type, *e.desc]) for e in parsed(symbol)["Returns"]]
    for name, annotation in annotations.items():
        text = " ".join(returned) if name == "return" else entries.get(name, "")
        if ARRAYS.search(annotation):
            assert SHAPE.search(text), f"{name}: {text}"


@pytest.mark.parametrize("name", SOURCES)
def test_that_published_methods_name_their_source(name: str) -> None:
    symbol = next(s for s in SYMBOLS if s.name == name)
    references = " ".join(parsed(symbol)["References"])
    assert not [author for author in SOURCES[name] if author not in references]


@of(SYMBOLS)
def it_is_valid_restructured_text(symbol: Symbol) -> None:
    # Sphinx knows the directive, docutils does not.
    text = str(SphinxDocString(symbol.doc)).replace(".. only:: latex", "")
    problems = _problems(text)
    assert not problems, "\n".join([*problems, text])


def _problems(text: str) -> list[str]:
    doctree = publish_doctree(
        text,
        settings_overrides={
            "report_level": 2,
            "halt_level": 5,
            "warning_stream": False,
        },
    )
    return [n.astext() for n in doctree.findall() if n.tagname == "system_message"]


@of([s for s in SYMBOLS if _examples(s.doc)])
def examples_can_be_copied(symbol: Symbol) -> None:
    """They import what they use: a reader has nothing of the module they stand in."""
    tree = ast.parse("".join(e.source for e in _examples(symbol.doc)))
    nodes = list(ast.walk(tree))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {n.id for n in names if isinstance(n.ctx, ast.Store)} | set(vars(builtins))
    bound |= {arg.arg for node in nodes for arg in _arguments(node)}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler):
            bound.add(str(node.name))
    assert {node.id for node in names} <= bound


def _arguments(node: ast.AST) -> list[ast.arg]:
    if isinstance(node, ast.arguments):
        return [*node.posonlyargs, *node.args, *node.kwonlyargs]
    return []
