"""What formulas are parsed into."""

from __future__ import annotations

import dataclasses

import pytest

from ngmm.formula import ModelFormula, NetworkTerm, RandomTerm, Response, parse


def test_all_parts_of_a_formula() -> None:
    text = "log(y) ~ x*z + offset(w) + nn(a, hidden=(4, 4)) + (x || g) + (1|b/c)"
    assert parse(text) == ModelFormula(
        response=Response("log(y)", ("log(y)",)),
        fixed="1 + x * z",
        random=(
            RandomTerm("1 + x", ("g",), correlated=False),
            RandomTerm("1", ("b",)),
            RandomTerm("1", ("b", "c")),
        ),
        offsets=("w",),
        networks=(NetworkTerm(("a",), (("hidden", (4, 4)),)),),
    )
    assert parse(text).text == text


@pytest.mark.parametrize(
    ("formula", "canonical"),
    [
        (
            "Reaction ~ Days + (Days | Subject)",
            "Reaction ~ 1 + Days + (1 + Days | Subject)",
        ),
        ("y~(1|g)", "y ~ 1 + (1 | g)"),
        ("y ~ 1 + (1 | g)", "y ~ 1 + (1 | g)"),
        # The last mention of the intercept wins.
        ("y ~ x - 1", "y ~ 0 + x"),
        ("y ~ 0 + x", "y ~ 0 + x"),
        ("y ~ -1 + x", "y ~ 0 + x"),
        ("y ~ x + 0", "y ~ 0 + x"),
        ("y ~ 0 + x + 1", "y ~ 1 + x"),
        ("y ~ 1 + x - 1", "y ~ 0 + x"),
        ("y ~ x + -1", "y ~ 0 + x"),
        ("y ~ x - -1", "y ~ 1 + x"),
        ("y ~ x - 0", "y ~ 1 + x"),
        ("y ~ 0 + (1 | g)", "y ~ 0 + (1 | g)"),
        ("y ~ (x - 1) + z", "y ~ 0 + x + z"),
        ("y ~ (x - 1 | g)", "y ~ 1 + (0 + x | g)"),
        ("y ~ (0 + x | g)", "y ~ 1 + (0 + x | g)"),
        # Ordinary terms stay as written, in canonical spacing.
        ("y ~ (a+b)^2", "y ~ 1 + (a + b)^2"),
        ("y ~ (a+b)**2", "y ~ 1 + (a + b) ** 2"),
        ("y ~ +(a+b)", "y ~ 1 + (a + b)"),
        ("y ~ a - b", "y ~ 1 + a - b"),
        ("y ~ -b + a", "y ~ 1 - b + a"),
        ("y ~ a - (b + c)", "y ~ 1 + a - (b + c)"),
        ("y ~ a/(b:c)*d", "y ~ 1 + a/(b:c) * d"),
        ("y ~ I(x^-1)+f( x,k = 2 )", "y ~ 1 + I(x^-1) + f(x, k=2)"),
        ("y ~ f(-x, (x,), [1,2], -1)", "y ~ 1 + f(-x, (x,), [1, 2], -1)"),
        ("y ~ I(x>=2)+{x+1}", "y ~ 1 + I(x >= 2) + {x + 1}"),
        ("y ~ I(x if not z else -x)", "y ~ 1 + I(x if not z else -x)"),
        ('y ~ C(x, Treatment("a|b ~ c"))', 'y ~ 1 + C(x, Treatment("a|b ~ c"))'),
        ("y ~ np.log( x )", "y ~ 1 + np.log(x)"),
        ("y ~ log(base/4)*trt", "y ~ 1 + log(base/4) * trt"),
        ("y ~\n  x +\n  (1 | g)", "y ~ 1 + x + (1 | g)"),
        # Random terms anywhere in a sum; nested and crossed groups.
        ("y ~ (1|g) + x", "y ~ 1 + x + (1 | g)"),
        ("y ~ ((1|g) + (x|h)) + z", "y ~ 1 + z + (1 | g) + (1 + x | h)"),
        ("y ~ (((1|g)))", "y ~ 1 + (1 | g)"),
        ("y ~ (1|a:b:c)", "y ~ 1 + (1 | a:b:c)"),
        ("y ~ (x|a/b/c)", "y ~ 1 + (1 + x | a) + (1 + x | a:b) + (1 + x | a:b:c)"),
        ("y ~ (1|a/(b:c))", "y ~ 1 + (1 | a) + (1 | a:b:c)"),
        ("y ~ (1|a:b/c)", "y ~ 1 + (1 | a:b) + (1 | a:b:c)"),
        ("y ~ (1|(a/b))", "y ~ 1 + (1 | a) + (1 | a:b)"),
        ("y ~ (1|g) + (0 + x|g)", "y ~ 1 + (1 | g) + (0 + x | g)"),
        ("y ~ ((a + b)^2 || g)", "y ~ 1 + (1 + (a + b)^2 || g)"),
        # Names.
        ("total.fruits ~ ttt.1 + (1 | x.y)", "total.fruits ~ 1 + ttt.1 + (1 | x.y)"),
        ("`a b` ~ `c|d` + (`~` | `(`:`e`)", "`a b` ~ 1 + `c|d` + (1 + `~` | `(`:e)"),
        ("größe ~ ñ + (1 | 日本)", "größe ~ 1 + ñ + (1 | 日本)"),
        ("class ~ `if` + (1 | in)", "class ~ 1 + `if` + (1 | in)"),
        ("y ~ .x + x. + _ + x_1", "y ~ 1 + .x + x. + _ + x_1"),
        # Responses are literal.
        ("k/n ~ x", "k/n ~ 1 + x"),
        ("y1+y2 ~ x", "y1 + y2 ~ 1 + x"),
        ("cbind(k,n-k) ~ x", "cbind(k, n - k) ~ 1 + x"),
        # Offsets and networks.
        ("y ~ offset(log( n ))+offset(w)", "y ~ 1 + offset(log(n)) + offset(w)"),
        ("y ~ (offset(w) + x)", "y ~ 1 + x + offset(w)"),
        ("y ~ nn(x1,x.2,`a b`)", "y ~ 1 + nn(x1, x.2, `a b`)"),
        ("y ~ nn(`x`, log( x^2))", "y ~ 1 + nn(x, log(x^2))"),
        ("y ~ nn(I(a+b),C(f))", "y ~ 1 + nn(I(a + b), C(f))"),
        ('y ~ nn(x, net="cnn")', "y ~ 1 + nn(x, net=cnn)"),
        ("y ~ nn(x, net=cnn, k=1e-3)", "y ~ 1 + nn(x, net=cnn, k=0.001)"),
        ("y ~ nn(x, a=[1, [2]], b=TRUE)", "y ~ 1 + nn(x, a=(1, (2,)), b=True)"),
        ("y ~ (nn(x) | g)", "y ~ 1 + (nn(x) | g)"),
        ("y ~ (0 + nn(x) | g)", "y ~ 1 + (nn(x) | g)"),
        ("y ~ (1 + nn(x) | g)", "y ~ 1 + (1 + nn(x) | g)"),
        ("y ~ (z + nn(x) || g)", "y ~ 1 + (1 + z + nn(x) || g)"),
        ("y ~ 0 + nn(x)", "y ~ 0 + nn(x)"),
    ],
)
def test_canonical_text(formula: str, canonical: str) -> None:
    parsed = parse(formula)
    assert str(parsed) == canonical
    assert parse(canonical) == parsed
    assert str(parse(canonical)) == canonical


def test_blanks_make_no_difference() -> None:
    tight = parse("y~a*b+log(x,2)+(x|a:b)")
    loose = parse(" y ~ a  * b +\tlog ( x , 2 ) + ( x |\n a : b ) ")
    assert tight == loose
    assert tight.text != loose.text
    assert hash(tight) == hash(loose)


@pytest.mark.parametrize(
    ("response", "parts"),
    [
        ("y", ("y",)),
        ("`my y`", ("`my y`",)),
        ("log(y + 1)", ("log(y + 1)",)),
        ("k/n", ("k/n",)),
        ("cbind(k, n - k)", ("k", "n - k")),
        ("cbind(k, size.1 - k)", ("k", "size.1 - k")),
    ],
)
def test_response(response: str, parts: tuple[str, ...]) -> None:
    parsed = parse(f"{response} ~ x").response
    assert parsed == Response(response, parts)
    assert parsed.is_cbind == (len(parts) == 2)


@pytest.mark.parametrize(
    ("formula", "variables"),
    [
        ("y ~ x + (x | g)", ("y", "x", "g")),
        ("y ~ (1 | a/b) + (z | c:a)", ("y", "a", "b", "z", "c")),
        ("cbind(k, n - k) ~ log(x.1) + offset(w)", ("k", "n", "x.1", "w")),
        ("y ~ nn(a, b, net=cnn) + (nn(`c d`) | g)", ("y", "a", "b", "c d", "g")),
        ("y ~ nn(log(a), I(`b c` / a)) + (nn(C(d)) | g)", ("y", "a", "b c", "d", "g")),
        ("y ~ np.log(x) + bs(z, df=6) + C(f, contr.sum)", ("y", "x", "z", "f")),
        ("y ~ `a b` + (1 | `g h`)", ("y", "a b", "g h")),
    ],
)
def test_variables(formula: str, variables: tuple[str, ...]) -> None:
    assert parse(formula).variables == variables


def test_group_name() -> None:
    assert [term.group_name for term in parse("y ~ (1 | a/b.1)").random] == [
        "a",
        "a:b.1",
    ]


def test_networks_keep_their_options() -> None:
    (network,) = parse("y ~ nn(x, net=cnn, hidden=(8, 8), activation='tanh')").networks
    assert network.inputs == ("x",)
    assert network.options == (
        ("net", "cnn"),
        ("hidden", (8, 8)),
        ("activation", "tanh"),
    )


def test_same_text_is_parsed_once() -> None:
    assert parse("y ~ x + (1 | g)") is parse("y ~ x + (1 | g)")


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="fixed"):
        parse("y ~ x").fixed = "1"  # pyright: ignore[reportAttributeAccessIssue]


def test_thousands_of_terms() -> None:
    names = [f"x{i}" for i in range(3000)]
    assert parse("y ~ " + " + ".join(names)).variables == ("y", *names)
