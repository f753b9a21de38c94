"""Columns, families, estimators and networks as parts of a file."""

from __future__ import annotations

import sys
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
import pandas as pd
import polars as pl
import pytest

import ngmm
from ngmm import families
from ngmm.errors import OptionError, SavedFitError
from ngmm.networks import Network
from ngmm.persistence import from_bytes, to_bytes
from ngmm.persistence.codec import Decoder, Encoder, NotStorableError
from ngmm.persistence.document import DECODERS, ENCODERS
from ngmm.persistence.registry import CLASSES, field_names
from ngmm.persistence.types import conforms, field_types
from ngmm.persistence.withheld import Withheld
from tests.persistence.fits import curve, data, made, weights
from tests.persistence.same import NEW, TABLES, assert_same

SMALL = "y ~ x + (1 | g)"


def there_and_back(value: Any) -> Any:
    encoder = Encoder(ENCODERS, {})
    node = encoder(value, "value")
    return Decoder(encoder.members, DECODERS, {})(node)


# Columns -----------------------------------------------------------------------------

COLUMNS = {
    "float": pd.Series([1.5, np.nan, -0.0, np.inf]),
    "single": pd.Series([1.5, 2.5], dtype="float32"),
    "whole": pd.Series([1, 2**62], dtype="int64"),
    "flag": pd.Series([True, False]),
    "text": pd.Series(["a", None, "\u00e4\ud800"], dtype=object),
    "words": pd.Series(["a", "", "\u00e4"], dtype=object),
    "string": pd.Series(["a", None, "b"], dtype="string"),
    "native": pd.Series(["a", None, "b"]),
    "nullable": pd.Series([1, None, 3], dtype="Int64"),
    "masked": pd.Series([1.5, None], dtype="Float32"),
    "boolean": pd.Series([True, None], dtype="boolean"),
    "category": pd.Series(["b", None, "a"], dtype="category"),
    "ordered": pd.Series(pd.Categorical([3, 1], [3, 2, 1], ordered=True)),
    "date": pd.Series(pd.to_datetime(["2020-01-01", None])),
    "zoned": pd.Series(
        pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Paris")
    ),
    "duration": pd.Series(pd.to_timedelta([1, 2], unit="D")),
    "mixed": pd.Series([1, 2.5, "a", None, pd.NA, True, np.float64(3), (1, "b")]),
}
INDEXES = {
    "range": pd.RangeIndex(3, 12, 3, name="row"),
    "text": pd.Index(["b", "a"], name=("n", 1)),
    "objects": pd.Index([1, "a"], dtype=object),
    "category": pd.CategoricalIndex(["b", "a"]),
    "pairs": pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["p", None]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_come_back_with_their_types(name: str) -> None:
    column = COLUMNS[name].rename(name)
    again = there_and_back(column)
    pd.testing.assert_series_equal(again, column)
    assert [type(v) for v in again] == [type(v) for v in column]


@pytest.mark.parametrize("name", INDEXES)
def test_indexes_come_back_with_their_types(name: str) -> None:
    index = INDEXES[name]
    pd.testing.assert_index_equal(there_and_back(index), index, exact=True)


def test_columns_of_pyarrow_come_back() -> None:
    plain = pd.DataFrame(data()[["y", "x", "g", "h"]])
    frame = plain.convert_dtypes(dtype_backend="pyarrow")
    fit = ngmm.fit(SMALL, frame)
    again = from_bytes(to_bytes(fit))
    pd.testing.assert_frame_equal(again.call.data, frame)
    assert_same(fit, again, {**TABLES, **NEW})


def test_columns_of_pyarrow_without_it_are_of_pandas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    column = pd.Series([1, None], dtype="int64[pyarrow]")
    encoder = Encoder(ENCODERS, {})
    node = encoder(column, "column")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    again = Decoder(encoder.members, DECODERS, {})(node)
    assert again.dtype == "Int64"
    assert again[0] == 1
    assert again.isna().tolist() == [False, True]


def test_a_frame_comes_back_even_with_two_columns_of_one_name() -> None:
    frame = pd.DataFrame({"b": COLUMNS["flag"], "c": COLUMNS["whole"]})
    frame.columns = ["a", "a"]
    pd.testing.assert_frame_equal(there_and_back(frame), frame)


VALUES: list[Any] = [
    None,
    10**40,
    float("nan"),
    -0.0,
    "\ud800",
    np.float32(0.1),
    np.datetime64("2020-01-01"),
    [1, (2.5, "a")],
    {1: "a", (1, 2): [None]},
    slice(None, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.zeros((0, 3)),
    np.array(["a", "bc"]),
    np.array([["a", 1], [None, 2.5]], dtype=object),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_with_their_types(value: Any) -> None:
    again = there_and_back(value)
    assert type(again) is type(value)
    assert repr(again) == repr(value)
    if isinstance(value, np.ndarray):
        assert again.dtype == value.dtype
        # Sums in another order of memory have other last bits.
        assert again.flags.f_contiguous == value.flags.f_contiguous


@pytest.mark.parametrize(
    "value",
    [print, object(), {1, 2}, np.array([object()]), int],
    # Not their texts, which hold addresses.
    ids=["function", "object", "set", "objects", "class"],
)
def test_what_is_neither_data_nor_a_record_is_refused(value: Any) -> None:
    with pytest.raises(NotStorableError):
        there_and_back({"a": [value]})


def test_an_array_of_several_records_is_stored_once() -> None:
    array = np.arange(5.0)
    a, b = there_and_back((array, array))
    assert a is b


# Records -----------------------------------------------------------------------------


def test_every_field_of_every_record_has_a_type_that_is_known() -> None:
    for cls in CLASSES.values():
        assert set(field_names(cls)) <= set(field_types(cls)), cls


def test_every_network_of_the_package_can_be_stored() -> None:
    exported = (getattr(ngmm.networks, name) for name in ngmm.networks.__all__)
    own = [
        cls
        for cls in exported
        if isinstance(cls, type)
        and callable(getattr(cls, "init", None))
        and not getattr(cls, "_is_protocol", False)
    ]
    assert own
    assert set(own) <= set(CLASSES.values())


@pytest.mark.parametrize(
    ("value", "hint", "fine"),
    [
        (1, int, True),
        (True, int, False),
        (1, float, True),
        ("a", float, False),
        (None, float | None, True),
        ((1, 2), tuple[int, ...], True),
        ((1, "a"), tuple[int, ...], False),
        ((1, "a"), tuple[int, str], True),
        ((1,), tuple[int, str], False),
        ([1], tuple[int, ...], False),
        ({"a": 1}, dict[str, int], True),
        ({"a": "b"}, dict[str, int], False),
        (np.zeros(2), np.ndarray, True),
        ([0.0], np.ndarray, False),
        (families.get("poisson"), families.Family, True),
        ("poisson", families.Family, False),
    ],
)
def test_fields_are_checked(value: Any, hint: Any, fine: bool) -> None:
    assert conforms(value, hint) is fine


@pytest.mark.parametrize(
    ("name", "link"),
    [(name, link) for name, make in families.REGISTRY.items() for link in make().links],
)
def test_families_come_back_as_themselves(name: str, link: str) -> None:
    family = families.get(name, link)
    assert there_and_back(family) is family


RESPONSES = {
    "gaussian": "y",
    "bernoulli": "k",
    "binomial": "s",
    "poisson": "cnt",
    "negative_binomial": "cnt",
    "gamma": "pos",
    "inverse_gaussian": "pos",
    "beta": "share",
    "betabinomial": "s",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ngmm.errors.NgmmWarning")
@pytest.mark.parametrize("name", families.REGISTRY)
def test_fits_of_every_family_and_two_of_its_links(name: str) -> None:
    family = families.REGISTRY[name]()
    for link in {family.link: 0, family.links[-1]: 0}:
        trials = "m" if name in ("binomial", "betabinomial") else None
        quad = "auto" if name == "gaussian" else "laplace"
        formula = f"{RESPONSES[name]} ~ z + (1 | g)"
        fit = ngmm.fit(formula, data(), name, link=link, trials=trials, quad=quad)
        assert_same(fit, from_bytes(to_bytes(fit)), {**TABLES, **NEW})
        assert_same(fit, from_bytes(to_bytes(fit, data=False)), {**TABLES, **NEW})


# Data of other kinds -----------------------------------------------------------------


def test_a_frame_of_polars_comes_back_as_one_of_pandas() -> None:
    frame = pl.from_pandas(data()[["y", "x", "g", "w"]])
    fit = ngmm.fit(SMALL, frame, weights="w")
    again = from_bytes(to_bytes(fit))
    assert isinstance(again.call.data, pd.DataFrame)
    assert_same(fit, again, {**TABLES, **NEW})
    assert_same(fit.update(". ~ . - x"), again.update(". ~ . - x"), TABLES)


def test_a_mapping_of_lists_and_arrays_comes_back_as_such() -> None:
    rows = {name: data()[name].to_list() for name in ("y", "g")}
    rows["x"] = data()["x"].to_numpy()
    rows["unused"] = pd.Categorical(["a"] * len(rows["y"]))
    fit = ngmm.fit(SMALL, rows, offset=data()["w"].to_numpy())
    again = from_bytes(to_bytes(fit))
    assert {k: type(v) for k, v in again.call.data.items()} == {
        k: type(v) for k, v in rows.items()
    }
    assert_same(fit.update(". ~ . - x"), again.update(". ~ . - x"), TABLES)
    without = from_bytes(to_bytes(fit, data=False))
    # Other data need another offset, which is said before they are looked at.
    with pytest.raises(SavedFitError, match="data=False"):
        without.update(data=rows)


@pytest.mark.slow
def test_labels_and_missing_values_come_back() -> None:
    fit = made("crossed")
    again = from_bytes(to_bytes(fit))
    assert again.response_levels == ("no", "yes")
    assert again.missing == {"u": 3}
    assert again.design.index.identical(fit.design.index)


# What holds code ---------------------------------------------------------------------


@pytest.mark.slow
def test_an_estimator_with_code_is_asked_for_when_it_is_needed() -> None:
    fit = ngmm.fit(SMALL, data(), estimator=optax.lbfgs())
    again = from_bytes(to_bytes(fit))
    assert_same(fit, again, {**TABLES, **NEW})
    assert isinstance(again.estimator, Withheld)
    with pytest.raises(SavedFitError, match=r"holds code .*update\(estimator="):
        again.refit(data()["y"])
    with pytest.raises((SavedFitError, OptionError), match=r"update\(estimator="):
        again.update(". ~ . - x")
    # The search is another one, the maximum the same.
    found = again.update(". ~ . - x", estimator="auto").loglik
    assert found == pytest.approx(fit.update(". ~ . - x").loglik, abs=1e-6)


def test_a_family_of_the_users_own_is_refused() -> None:
    from dataclasses import replace

    own = replace(families.get("gaussian"), name="mine")
    fit = ngmm.fit(SMALL, data(), family=own)
    with pytest.raises(SavedFitError, match="its functions are code"):
        to_bytes(fit)


@pytest.fixture(scope="module")
def user() -> bytes:
    return to_bytes(made("user"))


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (None, r'net=curve \(curve, 2 arrays of weights\).*networks=\{"curve": '),
        ({}, "no code: give a network of the same architecture"),
        ({"curve": None}, r'networks\["curve"\] must be a network; got None'),
        ({"curve": Network}, "the class Network: call it"),
        ({"curve": (weights(4), curve)}, r"\['in'\] have shape \(2, 4\), those saved"),
        (
            {"curve": ({**weights(3), "more": np.zeros(1)}, curve)},
            r"the saved weights have no \['more'\]",
        ),
        ({"curve": ({"in": np.zeros((2, 3))}, curve)}, r"lack \['out'\]"),
        ({"curve": (weights(3), curve), "b": 1}, 'has "b", which the file does not'),
        ({"curv": (weights(3), curve)}, 'did you mean "curve"'),
        ([1], "is a mapping from names to networks"),
    ],
)
def test_a_user_network_has_to_be_given_again(
    user: bytes, networks: Any, message: str
) -> None:
    with pytest.raises(SavedFitError, match=message):
        from_bytes(user, networks)


def test_the_weights_of_a_given_network_do_not_matter(user: bytes) -> None:
    other = {k: v + 1.0 for k, v in weights(3).items()}
    again = from_bytes(user, {"curve": (other, curve)})
    assert_same(made("user"), again, {**TABLES, **NEW})


@pytest.mark.slow
def test_a_module_of_equinox_is_given_again() -> None:
    net = eqx.nn.MLP(2, "scalar", 3, 1, key=jax.random.key(0))
    fit = ngmm.fit(
        "y ~ nn(x, z, net=net) + (1 | g)",
        data(),
        networks={"net": net},
        estimator=ngmm.Stochastic(epochs=2, validation=0),
    )
    other = eqx.nn.MLP(2, "scalar", 3, 1, key=jax.random.key(5))
    for rows in (True, False):
        again = from_bytes(to_bytes(fit, data=rows), {"net": other})
        assert_same(fit, again, {**TABLES, **NEW})
    wide = eqx.nn.MLP(2, "scalar", 4, 1, key=jax.random.key(0))
    with pytest.raises(SavedFitError, match="of another architecture"):
        from_bytes(to_bytes(fit), {"net": wide})


def test_networks_that_are_not_needed_are_refused() -> None:
    contents = to_bytes(made("nested"))
    with pytest.raises(SavedFitError, match='"net", which the file does not need'):
        from_bytes(contents, {"net": (weights(3), curve)})
