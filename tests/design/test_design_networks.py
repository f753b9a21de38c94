"""Network terms: inputs, what they share with X, new data, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ngmm.design import Design, DesignSpec, build_design, network_warnings
from ngmm.errors import DataError, DesignError, NewDataError, NgmmError, OptionError
from ngmm.formula import parse

N = 48


def mapping() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        "y": rng.normal(size=N),
        "x": rng.normal(5.0, 3.0, size=N),
        "z": rng.uniform(1.0, 2.0, size=N),
        "a b": rng.normal(size=N),
        "f": np.array(list("pqr"))[rng.permutation(np.arange(N) % 3)],
        "k": rng.permutation(np.arange(N) % 12),
        "town": np.array([f"t{i:02d}" for i in rng.permutation(np.arange(N) % 16)]),
        "on": rng.permutation(np.arange(N) % 2).astype(bool),
        "g": np.repeat(np.arange(8), N // 8),
        "img": rng.normal(size=(N, 4, 5)).astype(np.float32),
        "pixels": rng.integers(0, 256, size=(N, 6), dtype=np.uint8),
    }


def build(formula: str, data: Any = None, **options: Any) -> tuple[Design, DesignSpec]:
    return build_design(parse(formula), mapping() if data is None else data, **options)


def part(data: dict[str, Any], rows: Any) -> dict[str, Any]:
    return {name: values[rows] for name, values in data.items()}


def test_numbers_are_standardised() -> None:
    data = mapping()
    design, _ = build("y ~ nn(x, log(z), I(x * z), on, `a b`)")
    (network,) = design.networks
    raw = [data["x"], np.log(data["z"]), data["x"] * data["z"], data["on"], data["a b"]]
    columns = np.column_stack([np.asarray(values, dtype=float) for values in raw])
    expected = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    # Two orders of summation of 48 numbers of size one.
    np.testing.assert_allclose(network.inputs.x, expected, atol=1e-13)
    assert network.inputs.x.dtype == np.float64
    assert network.columns == ("x", "log(z)", "I(x * z)", "on", "a b")
    assert network.variables == ("x", "log(z)", "I(x * z)", "on", "`a b`")
    assert network.column_inputs == (0, 1, 2, 3, 4)
    assert network.label == "nn(x, log(z), I(x * z), on, `a b`)"


def test_large_units_do_not_overflow() -> None:
    data = {**mapping(), "x": mapping()["x"] * 1e300}
    (huge,), (plain,) = (
        build("y ~ nn(x)", data)[0].networks,
        build("y ~ nn(x)")[0].networks,
    )
    np.testing.assert_allclose(huge.inputs.x, plain.inputs.x, rtol=1e-12)


def test_transforms_of_the_whole_column_keep_their_state() -> None:
    data = mapping()
    design, spec = build("y ~ nn(scale(x), exp(center(z)))")
    rows = slice(3, 9)
    new = spec.apply(part(data, rows))
    np.testing.assert_allclose(
        new.networks[0].x, design.networks[0].inputs.x[rows], rtol=1e-13
    )
    alone, _ = build("y ~ nn(x)")
    # Standardising twice is standardising once, up to rounding.
    np.testing.assert_allclose(
        design.networks[0].inputs.x[:, 0], alone.networks[0].inputs.x[:, 0], rtol=1e-12
    )


def test_factors_are_indicators_or_codes() -> None:
    data = mapping()
    design, _ = build("y ~ nn(x, f, town, C(k))")
    (network,) = design.networks
    assert network.columns == ("x", "f[p]", "f[q]", "f[r]")
    assert network.column_inputs == (0, 1, 1, 1)
    assert network.code_inputs == (2, 3)
    assert network.levels == (16, 12)
    for column, level in enumerate("pqr", start=1):
        np.testing.assert_array_equal(network.inputs.x[:, column], data["f"] == level)
    towns, numbers = network.inputs.codes
    assert towns.dtype == np.int32
    np.testing.assert_array_equal(np.unique(data["town"])[towns], data["town"])
    np.testing.assert_array_equal(numbers, data["k"])


@pytest.mark.parametrize(("n_levels", "coded"), [(10, False), (11, True)])
def test_ten_levels_are_indicators(n_levels: int, coded: bool) -> None:
    data = {**mapping(), "f": np.arange(N) % n_levels}
    (network,) = build("y ~ nn(C(f))", data)[0].networks
    assert network.inputs.x.shape == (N, 0 if coded else n_levels)
    assert network.levels == ((n_levels,) if coded else ())


def test_categories_keep_their_order() -> None:
    order = ["r", "p", "q", "unused"]
    frame = pd.DataFrame({n: v for n, v in mapping().items() if np.ndim(v) == 1})
    frame["f"] = pd.Categorical(frame["f"], categories=order, ordered=True)
    (network,) = build("y ~ nn(f)", frame)[0].networks
    assert network.columns == ("f[r]", "f[p]", "f[q]")


def test_other_frames_give_the_same() -> None:
    data = {n: v for n, v in mapping().items() if np.ndim(v) == 1}
    formula = "y ~ nn(x, log(z), f, town, on)"
    (expected,) = build(formula, data)[0].networks
    for frame in (pd.DataFrame(data), pl.DataFrame(data)):
        (found,) = build(formula, frame)[0].networks
        np.testing.assert_array_equal(found.inputs.x, expected.inputs.x)
        np.testing.assert_array_equal(found.inputs.codes[0], expected.inputs.codes[0])


def test_arrays_are_untouched() -> None:
    data = mapping()
    design, spec = build("y ~ nn(img, x, pixels, net=cnn)", data)
    (network,) = design.networks
    # Not even copied, since no row is left out.
    assert np.shares_memory(network.inputs.arrays[0], data["img"])
    np.testing.assert_array_equal(network.inputs.arrays[0], data["img"])
    assert [a.dtype for a in network.inputs.arrays] == [np.float32, np.uint8]
    np.testing.assert_array_equal(network.inputs.arrays[1], data["pixels"])
    assert network.array_inputs == (0, 2)
    assert network.column_inputs == (1,)
    rows = np.array([5, 1, 1])
    new = spec.apply(part(data, rows)).networks[0]
    np.testing.assert_array_equal(new.arrays[0], data["img"][rows])


def test_dropped_rows_keep_arrays_and_rows_together() -> None:
    data = mapping()
    data["x"][[2, 30]] = np.nan
    data["img"][7, 1, 2] = np.nan
    data["img"][30] = np.nan
    design, _ = build("y ~ nn(img, x, town, net=cnn) + (1 | g)", data)
    kept = np.setdiff1d(np.arange(N), [2, 7, 30])
    np.testing.assert_array_equal(design.rows, kept)
    assert dict(design.missing) == {"x": 2, "img": 2}
    assert design.n_dropped == 3
    inputs = design.networks[0].inputs
    np.testing.assert_array_equal(inputs.arrays[0], data["img"][kept])
    np.testing.assert_array_equal(
        np.unique(data["town"])[inputs.codes[0]], data["town"][kept]
    )
    x = data["x"][kept]
    # Two orders of summation of 45 numbers.
    np.testing.assert_allclose(inputs.x[:, 0], (x - x.mean()) / x.std(), atol=1e-13)
    with pytest.raises(DataError, match=r'"img" in 2 rows \(7, 30\)'):
        build("y ~ nn(img, net=cnn)", data, na_action="raise")


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("y ~ x + z + nn(x)", ("Intercept", "x")),
        ("y ~ x + z + nn(log(x), z)", ("Intercept", "x", "z")),
        ("y ~ x * z + nn(x)", ("Intercept", "x")),
        ("y ~ x * z + nn(x, z)", ("Intercept", "x", "z", "x:z")),
        ("y ~ f + poly(z, 2) + nn(z)", ("Intercept", "poly(z, 2)[1]", "poly(z, 2)[2]")),
        ("y ~ f + x + nn(f)", ("Intercept", "f[T.q]", "f[T.r]")),
        ("y ~ `a b` + I(`a b`^2) + x + nn(`a b`)", ("Intercept", "a b", "I(a b^2)")),
        (
            "y ~ log(z) + sin(2 * pi * z) + nn(z)",
            ("Intercept", "log(z)", "sin(2 * pi * z)"),
        ),
        ("y ~ 0 + x + z + nn(x)", ("x",)),
        ("y ~ x + nn(img, net=cnn)", ("Intercept",)),
    ],
)
def test_columns_shared_with_the_linear_part(
    formula: str, names: tuple[str, ...]
) -> None:
    data = {**mapping(), "x": np.abs(mapping()["x"]) + 1.0}
    design, _ = build(formula, data)
    (network,) = design.networks
    assert tuple(design.names[column] for column in network.shared) == names
    np.testing.assert_array_equal(
        network.basis(design.X), design.X[:, list(network.shared)]
    )


def test_a_factor_without_intercept_spans_the_constant() -> None:
    design, spec = build("y ~ 0 + f + x + nn(x)")
    (network,) = design.networks
    assert network.centred
    assert [design.names[column] for column in network.shared] == ["x"]
    new = spec.apply(part(mapping(), slice(4)))
    ones = np.column_stack([np.ones(4), new.X[:, list(network.shared)]])
    np.testing.assert_array_equal(network.basis(new.X), ones)
    # What the network shares spans the constant already, or nothing does.
    assert not build("y ~ 0 + f + nn(f)")[0].networks[0].centred
    assert not build("y ~ 0 + x + nn(z)")[0].networks[0].centred


def test_each_network_shares_what_it_reads() -> None:
    design, _ = build("y ~ x + z + nn(x) + nn(z, hidden=(3,)) + nn(z)")
    shared = [[design.names[c] for c in net.shared] for net in design.networks]
    assert shared == [["Intercept", "x"], ["Intercept", "z"], ["Intercept", "z"]]
    labels = [network.label for network in design.networks]
    assert labels == ["nn(x)", "nn(z, hidden=(3,))", "nn(z)"]
    assert [dict(network.options) for network in design.networks] == [
        {},
        {"hidden": (3,)},
        {},
    ]


def test_random_part_with_and_without_columns() -> None:
    data = mapping()
    design, spec = build("y ~ x + (1 + x + nn(z, town, latent=2) | g) + (nn(x) | f)")
    (random,) = design.random
    assert random.names == ("Intercept", "x")
    first, second = design.latent
    assert (first.group, first.n_latent, first.label) == ("g", 2, "(nn(z, town) | g)")
    assert (second.group, second.n_latent) == ("f", 1)
    assert "latent" not in first.network.options
    assert first.network.shared == ()
    np.testing.assert_array_equal(first.codes, random.codes)
    assert list(second.levels) == ["p", "q", "r"]
    assert second.n_levels == 3
    assert spec.groups == ("g", "f")
    assert first.network.levels == (16,)
    rows = np.array([10, 40])
    new = spec.apply({**part(data, rows), "g": np.array([3, 99])})
    assert [term.codes.tolist() for term in new.latent] == [
        [3, -1],
        second.codes[rows].tolist(),
    ]
    np.testing.assert_array_equal(new.latent[0].inputs.x, first.network.inputs.x[rows])
    assert new.unseen["g"].to_dict() == {99: 1}


def test_nested_groups_have_a_latent_term_each() -> None:
    design, _ = build("y ~ 1 + (nn(x) | f/g)")
    assert design.random == ()
    assert [term.group for term in design.latent] == ["f", "f:g"]


def test_new_data_need_only_the_columns_that_are_asked_for() -> None:
    data = mapping()
    _, spec = build("y ~ x + nn(z, f) + (nn(k) | g) + (1 | town)")
    few = {name: data[name][:5] for name in ("x", "z", "f")}
    new = spec.apply(few, random=False)
    assert new.latent == ()
    assert new.networks[0].x.shape == (5, 4)
    with pytest.raises(NewDataError, match='"k" is not a column of newdata'):
        spec.apply({**few, "g": data["g"][:5]}, random=["g"])
    one = spec.apply({**few, "g": data["g"][:5], "k": data["k"][:5]}, random="g")
    assert len(one.latent) == 1
    assert one.random == ()
    codes = spec.apply({**few, "k": data["k"][:5]}, random="g", levels=False)
    assert codes.latent[0].codes.tolist() == [-1] * 5


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ nn(x, log(z), f, town, C(k), on, img, net=cnn) + (nn(x, town) | g)",
    ],
)
def test_training_data_are_rebuilt_exactly(formula: str) -> None:
    data = mapping()
    design, spec = build(formula, data)
    new = spec.apply(data)
    found = [*new.networks, *(term.inputs for term in new.latent)]
    given = [*design.networks, *(term.network for term in design.latent)]
    for inputs, network in zip(found, given, strict=True):
        np.testing.assert_array_equal(inputs.x, network.inputs.x)
        for name in ("codes", "arrays"):
            pairs = zip(
                getattr(inputs, name), getattr(network.inputs, name), strict=True
            )
            assert all(np.array_equal(a, b) for a, b in pairs)


def changed(**columns: Any) -> dict[str, Any]:
    return {**mapping(), **columns}


def with_value(name: str, row: int, value: Any) -> dict[str, Any]:
    data = mapping()
    data[name] = np.array(data[name], dtype=object if isinstance(value, str) else float)
    data[name][row] = value
    return data


NEW = [
    ("nn(x, f)", with_value("f", 3, "s"), r"'f' has level 's', not seen.*: p, q, r"),
    ("nn(x, town)", with_value("town", 3, "tt"), r"'town' has level 'tt', not seen in"),
    ("nn(C(k))", changed(k=mapping()["k"] + 1), r"'C\(k\)' has level '12', not seen"),
    ("nn(x)", with_value("x", 3, np.nan), r'newdata has missing values: "x" in 1 row'),
    ("nn(x)", with_value("x", 3, np.inf), r'column "x" is infinite in 1 row \(3\)'),
    ("nn(log(z))", with_value("z", 3, -1.0), r'"log\(z\)" is infinite or undefined in'),
    ("nn(x)", changed(x=list("abcd") * 12), r'"x" of newdata is not numeric as it was'),
    (
        "nn(img)",
        changed(img=mapping()["img"][:, 1:]),
        r"shape \(3, 5\).*shape \(4, 5\)",
    ),
    ("nn(img)", changed(img=mapping()["x"]), r'"img" has values of shape \(\) a row'),
    (
        "nn(x)",
        changed(x=mapping()["img"]),
        r'column "x" of newdata is of shape \(48, 4',
    ),
    ("nn(img)", with_value("img", 3, np.nan), r'missing values: "img" in 1 row \(3\)'),
    (
        "nn(img)",
        with_value("img", 3, np.inf),
        r'column "img" is infinite in 1 row \(3\)',
    ),
]


@pytest.mark.parametrize(("term", "data", "message"), NEW)
def test_new_data_that_do_not_fit(term: str, data: Any, message: str) -> None:
    _, spec = build(f"y ~ {term}")
    with pytest.raises(NewDataError, match=message):
        spec.apply(data)


BAD: list[tuple[str, Any, type[NgmmError], str]] = [
    ("y ~ nn(x, zz)", mapping(), DataError, r'"zz" is not a column of data; did you m'),
    (
        "y ~ nn(x, z)",
        changed(z=np.full(N, 3.0)),
        DesignError,
        r"^input z of nn\(x, z\) is the same in all rows \(3\), .*; remove it$",
    ),
    (
        "y ~ nn(x, I(0.1 * z))",
        changed(z=1e9 + np.arange(N) * 1e-6),
        DesignError,
        r"input I\(0.1 \* z\) of .* is the same in all rows",
    ),
    (
        "y ~ nn(on)",
        changed(on=np.ones(N, bool)),
        DesignError,
        r"input on of nn\(on\) is",
    ),
    ("y ~ nn(f)", changed(f=["p"] * N), DesignError, r"same in all rows \('p'\)"),
    ("y ~ nn(img)", changed(img=np.ones((N, 2))), DesignError, r"all rows \(array\)"),
    (
        "y ~ nn(x, f)",
        changed(f=[f"id{i // 1.5:.0f}" for i in range(N)]),
        DataError,
        (
            r"^input f of nn\(x, f\) has 32 levels in 48 rows \(id0, .*\): it looks "
            r"like an identifier. Leave it out of the network; .* write \(1 \| f\)$"
        ),
    ),
    ("y ~ nn(log(x))", mapping(), DataError, r'"log\(x\)" is infinite or undefined in'),
    ("y ~ nn(log(f))", mapping(), DataError, r'"f" is not numeric, it has p, q, r'),
    ("y ~ nn(lgo(z))", mapping(), NgmmError, r'unknown function "lgo"; did you mean'),
    (
        "y ~ img + nn(img)",
        mapping(),
        DataError,
        r'"img" of data is of shape \(48, 4, 5\).*Only a network reads arrays',
    ),
    (
        "y ~ nn(log(img))",
        mapping(),
        DataError,
        r'"img" of data is of shape \(48, 4, 5\)',
    ),
    ("y ~ nn(img) + (1 | img)", mapping(), DataError, r"Only a network reads arrays"),
    (
        "y ~ nn(img)",
        changed(img=np.full((N, 2), "a")),
        DataError,
        r"an array of <U1; a network reads arrays of numbers",
    ),
    (
        "y ~ nn(img)",
        changed(img=np.ones((N + 1, 2))),
        DataError,
        r'columns of data differ in length: "y" 48, "img" 49',
    ),
    (
        "y ~ nn(img)",
        with_value("img", 3, np.inf),
        DataError,
        r'"img" is infinite in 1 r',
    ),
    (
        "y ~ nn(x, latent=2)",
        mapping(),
        OptionError,
        r"latent= is .* stands left of a bar only: \(nn\(x\) \| g\)",
    ),
    (
        "y ~ (nn(x, latent=0) | g)",
        mapping(),
        OptionError,
        r"latent=0 is not a number of",
    ),
    (
        "y ~ (nn(x) | g)",
        changed(g=np.zeros(N)),
        DesignError,
        r"'g' has one level, '0': latent values .* Remove \(nn\(x\) \| g\)$",
    ),
]


@pytest.mark.parametrize(("formula", "data", "error", "message"), BAD)
def test_refuses(formula: str, data: Any, error: type[NgmmError], message: str) -> None:
    with pytest.raises(error, match=message):
        build(formula, data)


def warned(formula: str, **columns: Any) -> tuple[str, ...]:
    return network_warnings(build(formula, changed(**columns))[0])


def test_nothing_to_warn_of() -> None:
    by_group = np.array([0.0, 1.0])[np.arange(8) % 2][mapping()["g"]]
    assert warned("y ~ x + nn(x, z, f, town, on) + (1 | g)") == ()
    # Two values in eight levels leave room for a random intercept.
    assert warned("y ~ nn(x, w) + (1 | g)", w=by_group) == ()
    # Without a random intercept nothing competes.
    size = np.arange(8.0)[mapping()["g"]] ** 2
    assert warned("y ~ nn(x, size)", size=size) == ()
    assert warned("y ~ nn(x, size) + (0 + z | g)", size=size) == ()
    assert warned("y ~ nn(img, net=cnn) + (1 | g)") == ()


@pytest.mark.parametrize("formula", ["y ~ nn(x, size) + (1 | g)", "y ~ (nn(size) | g)"])
def test_an_input_that_tells_the_groups_apart(formula: str) -> None:
    g = mapping()["g"]
    (text,) = warned(formula, size=(np.arange(8.0) ** 2)[g])
    assert "is the same within each level of 'g' and has 8 values in 8 levels" in text
    assert text.endswith("let it enter as a linear term, + size, outside of nn()")
    # Within one group it varies.
    size = (np.arange(8.0) ** 2)[g]
    size[0] += 1.0
    assert warned(formula, size=size) == ()


def test_the_grouping_factor_as_an_input() -> None:
    (text,) = warned("y ~ nn(x, town) + (1 | town)")
    assert "input town of nn(x, town) is the grouping factor itself, so" in text
    assert text.endswith("leave it out of nn()")


@pytest.mark.parametrize(
    ("formula", "columns", "start"),
    [
        (
            "nn(x, z, w)",
            {"w": 3.0 - mapping()["z"]},
            ("input w of nn(x, z, w) is a linear function of z, so"),
        ),
        (
            "nn(x, z, w)",
            {"w": mapping()["x"] + mapping()["z"]},
            ("input w of nn(x, z, w) is a linear function of the other inputs, so"),
        ),
        (
            "nn(f, h)",
            {"h": np.char.upper(mapping()["f"])},
            ("input h of nn(f, h) is a linear function of f, so"),
        ),
        (
            "nn(f, x, p)",
            {"p": mapping()["f"] == "p"},
            ("input p of nn(f, x, p) is a linear function of f, so"),
        ),
        (
            "nn(town, x, v)",
            {"v": np.char.upper(mapping()["town"])},
            ("input v of nn(town, x, v) is a linear function of town, so"),
        ),
    ],
)
def test_inputs_that_say_the_same(
    formula: str, columns: dict[str, Any], start: str
) -> None:
    (text,) = warned(f"y ~ {formula} + (1 | g)", **columns)
    assert text.startswith(start)
    assert text.endswith("remove one of them")
