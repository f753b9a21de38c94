"""Evaluation of single expressions: the response and offsets.

Responses cannot go through formulaic, which reads ``k/n`` as ``k + k:n``. An expression
is parsed as Python and evaluated node by node: names of columns, numbers, arithmetic,
comparisons and calls of known functions; anything else is refused.
"""

from __future__ import annotations

import ast
import keyword
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design._text import listing
from ngmm.design.columns import Column, Factor
from ngmm.design.functions import numpy_function, unknown_function
from ngmm.errors import DataError, FormulaError, NgmmError, did_you_mean
from ngmm.formula import columns_of, to_python

__all__ = ["called_functions", "cannot_evaluate", "evaluate", "parse_python"]

# Text literals are matched so that a backtick inside one is left alone.
# Words that Python reserves for statements may still be columns: `yield`, `class`.
_RESERVED = "|".join(
    word
    for word in keyword.kwlist
    if word not in {"True", "False", "None", "and", "or", "not", "in", "is"}
)
_QUOTED = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`(?P<name>[^`]+)`"""
    rf"""|(?<![\w.])(?P<word>{_RESERVED})(?![\w(])"""
)

_BINARY: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv,
        ast.Mod: operator.mod,
        ast.Pow: operator.pow,
        ast.BitAnd: operator.and_,
        ast.BitOr: operator.or_,
        ast.Eq: operator.eq,
        ast.NotEq: operator.ne,
        ast.Lt: operator.lt,
        ast.LtE: operator.le,
        ast.Gt: operator.gt,
        ast.GtE: operator.ge,
    }
)
_UNARY: Mapping[type[ast.AST], Callable[[Any], Any]] = MappingProxyType(
    {ast.UAdd: operator.pos, ast.USub: operator.neg, ast.Invert: operator.invert}
)


@dataclass(frozen=True, eq=False)
class ParsedExpression:
    """A Python expression and the columns that its placeholders stand for."""

    tree: ast.expr
    quoted: Mapping[str, str]


def parse_python(expr: str) -> ParsedExpression:
    """Return the syntax tree of an expression in which names may stand in backticks.

    Raises
    ------
    FormulaError
        If it is not an expression.
    """
    quoted: dict[str, str] = {}

    def placeholder(token: re.Match[str]) -> str:
        column = token["name"] or token["word"]
        if column is None:
            return token.group()
        name = f"_quoted_{len(quoted)}_"
        quoted[name] = column
        return name

    try:
        tree = ast.parse(_QUOTED.sub(placeholder, expr).strip(), mode="eval")
    except SyntaxError as cause:
        raise FormulaError(f'cannot read "{expr}": {cause.msg}') from cause
    return ParsedExpression(tree.body, quoted)


def called_functions(parsed: ParsedExpression) -> Iterator[str]:
    """Yield the dotted name of every function that an expression calls or refers to.

    Raises
    ------
    FormulaError
        If it uses an attribute of anything else than a module, or another construct
        that could reach beyond the data and the functions.
    """
    for node in ast.walk(parsed.tree):
        if isinstance(node, ast.Call):
            if not isinstance(node.func, (ast.Name, ast.Attribute)):
                raise FormulaError(
                    f'cannot call "{ast.unparse(node.func)}" in a formula'
                )
            yield ast.unparse(node.func)
        elif isinstance(node, ast.Attribute):
            if not (isinstance(node.value, ast.Name) and node.value.id in _MODULES):
                raise FormulaError(
                    f'"{ast.unparse(node)}" takes an attribute, which is not '
                    "allowed in a formula; compute it as a column of data first"
                )
        elif isinstance(node, _FORBIDDEN):
            raise FormulaError(
                f'"{ast.unparse(node)}" is not allowed in a formula; compute it as a '
                "column of data first"
            )


_MODULES = frozenset({"np", "contr"})
_FORBIDDEN = (
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.NamedExpr,
    ast.JoinedStr,
    ast.Starred,
    ast.Subscript,
)


def evaluate(
    expr: str,
    columns: Mapping[str, Column],
    functions: Mapping[str, Callable[..., Any]],
    n_rows: int,
    error: type[DataError] = DataError,
) -> NDArray[Any] | Factor:
    """Return the values of an expression, one a row.

    Parameters
    ----------
    expr
        The expression as the user wrote it; ``^`` is a power, as in R.
    columns
        The columns it may use.
    functions
        The functions it may call, beside numpy's.
    n_rows
        Number of rows; a constant is repeated.
    error
        The exception to raise.

    Returns
    -------
    values
        Shape (n,). The factor itself if the expression is the name of one.

    Raises
    ------
    FormulaError
        If the expression is not allowed, or calls an unknown function.
    DataError
        If it cannot be evaluated for these columns.
    """
    # Inside a call every ^ is a power, also where it is the outermost operator.
    parsed = parse_python(to_python(f"I({expr})"))
    inner = parsed.tree.args[0] if isinstance(parsed.tree, ast.Call) else parsed.tree
    if isinstance(inner, ast.Name):
        column = columns.get(parsed.quoted.get(inner.id, inner.id))
        if isinstance(column, Factor):
            return column
    evaluator = _Evaluator(expr, columns, functions, parsed.quoted)
    try:
        # The values are checked afterwards, with a message that names the rows.
        with np.errstate(all="ignore"):
            values = np.asarray(evaluator.visit(inner))
    except NgmmError:
        raise
    except (TypeError, ValueError, ArithmeticError) as cause:
        raise error(cannot_evaluate(expr, columns, cause)) from cause
    if values.ndim == 0:
        values = np.full(n_rows, values)
    if values.shape != (n_rows,):
        raise error(
            f'"{expr}" has shape {values.shape}; one value a row ({n_rows:,}) is needed'
        )
    return values


def cannot_evaluate(
    expr: str, columns: Mapping[str, Column], cause: BaseException | str
) -> str:
    """Return the message for an expression that failed: text in it, or the cause."""
    for name in columns_of(expr):
        column = columns.get(name)
        if isinstance(column, Factor) and not column.is_boolean:
            shown = listing(column.labels, most=5)
            return f'cannot evaluate "{expr}": "{name}" is not numeric, it has {shown}'
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return f'cannot evaluate "{expr}": {lines[0]}'


@dataclass(frozen=True, eq=False)
class _Evaluator:
    """Walks a syntax tree; every kind of node that is not listed is refused."""

    expr: str
    columns: Mapping[str, Column]
    functions: Mapping[str, Callable[..., Any]]
    quoted: Mapping[str, str]

    def visit(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                # Floats throughout: 2^-1 of integers is an error in numpy.
                return float(value) if type(value) is int else value
            case ast.Name(id=name):
                return self.lookup(self.quoted.get(name, name))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](self.visit(left), self.visit(right))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return _UNARY[type(op)](self.visit(operand))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if (
                type(op) in _BINARY
            ):
                return _BINARY[type(op)](self.visit(left), self.visit(right))
            case ast.Call(func=function, args=args, keywords=keywords):
                return self.call(function, args, keywords)
        raise FormulaError(
            f'"{ast.unparse(node)}" is not allowed in "{self.expr}"; '
            "compute it as a column of data first"
        )

    def lookup(self, name: str) -> Any:
        if name not in self.columns:
            if name == "pi":
                return np.pi
            hint = did_you_mean(name, self.columns)
            raise DataError(f'"{name}" in "{self.expr}" is not a column of data{hint}')
        column = self.columns[name]
        return column.values() if isinstance(column, Factor) else column.values

    def call(
        self, function: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]
    ) -> Any:
        name = ast.unparse(function)
        known = self.functions.get(name)
        if known is None and name.startswith("np."):
            known = numpy_function(name.removeprefix("np."))
        if known is None:
            raise unknown_function(name, frozenset(self.functions), self.expr)
        if any(isinstance(arg, ast.Starred) for arg in args):
            raise FormulaError(f'"*" is not allowed in a call in "{self.expr}"')
        named = {
            keyword.arg: self.argument(keyword.value)
            for keyword in keywords
            if keyword.arg is not None
        }
        return known(*(self.argument(arg) for arg in args), **named)

    def argument(self, node: ast.expr) -> Any:
        # An option such as the digits of round() must stay an integer.
        return node.value if isinstance(node, ast.Constant) else self.visit(node)
