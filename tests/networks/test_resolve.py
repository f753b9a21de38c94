"""Which network a term means, and what is wrong with one that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from ngmm.design import NetworkDesign
from ngmm.errors import OptionError
from ngmm.networks import MLP, Inputs, check_used, network_for


def design(
    *,
    n: int = 6,
    d: int = 2,
    levels: tuple[int, ...] = (),
    image: bool = False,
    **options: object,
) -> NetworkDesign:
    rng = np.random.default_rng(0)
    variables = [f"x{i}" for i in range(d)]
    codes = tuple(rng.integers(k, size=n).astype(np.int32) for k in levels)
    arrays = (rng.normal(size=(n, 4, 4)),) if image else ()
    return NetworkDesign(
        label="nn(x0, x1)",
        inputs=Inputs(rng.normal(size=(n, d)), codes, arrays),
        columns=tuple(variables),
        variables=(*variables, "f", "img"),
        column_inputs=tuple(range(d)),
        code_inputs=tuple(d + i for i in range(len(levels))),
        array_inputs=(d + 1,) if image else (),
        levels=levels,
        options=options,
    )


def test_options_of_the_built_in_network() -> None:
    found = network_for(
        design(levels=(12,), hidden=(3, 2), activation="relu", embedding=2)
    )
    assert found == MLP((3, 2), "relu", 2, levels=(12,), column_inputs=(0, 1))
    assert network_for(design()) == MLP(column_inputs=(0, 1))
    # In Python (8) is 8.
    assert network_for(design(hidden=8)) == MLP((8,), column_inputs=(0, 1))


def test_an_mlp_may_be_given_by_name() -> None:
    given = {"small": MLP((2,), "silu")}
    found = network_for(design(levels=(12,), net="small"), given)
    assert found == MLP((2,), "silu", levels=(12,), column_inputs=(0, 1))


def test_the_same_network_is_the_same_argument() -> None:
    pair = (np.ones(2), lambda w, x: x @ w)
    found = [network_for(design(net="mine"), {"mine": pair}) for _ in range(2)]
    assert found[0] == found[1]
    assert hash(found[0]) == hash(found[1])


@dataclass(frozen=True)
class Own:
    """An object with the methods of the protocol."""

    def init(self, key: Any, inputs: Inputs) -> Any:  # noqa: ARG002
        return jnp.zeros(inputs.x.shape[1])

    def apply(self, weights: Any, inputs: Inputs) -> Any:
        return inputs.x @ weights

    def penalty_groups(self, weights: Any) -> Any:
        return np.zeros(weights.shape, dtype=int)

    def layout(self, inputs: Inputs) -> str:  # noqa: ARG002
        return "own"

    def symmetries(self, weights: Any = None) -> float:  # noqa: ARG002
        return 0.0


class Unhashable(Own):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


def test_an_object_with_the_methods_is_taken_as_it_is() -> None:
    own = Own()
    assert network_for(design(net="own"), {"own": own}) is own


def test_latent_values_are_appended_when_a_network_is_tried() -> None:
    widths: list[int] = []

    def apply(w: Any, x: Any) -> Any:
        widths.append(x.shape[1])
        return x @ w

    network_for(design(net="mine"), {"mine": (np.ones(5), apply)}, n_latent=3)
    assert widths == [5]


def constant(value: Any) -> Any:
    return np.ones(1), lambda w, x: w * jnp.asarray(value(x), dtype=float)


BAD = [
    (
        design(hiden=(8,)),
        {},
        (
            r"^nn\(x0, x1\): hiden= is not an option of nn\(\); did you mean "
            r"\"hidden\"\? Options: hidden, activation, embedding, net$"
        ),
    ),
    (design(zzz=1), {}, r"zzz= is not an option of nn\(\). Options: hidden"),
    (
        design(hidden=(8, -1)),
        {},
        r"^nn\(x0, x1\): hidden=\(8, -1\) is not a tuple of widths; write positive",
    ),
    (design(hidden=0), {}, r"hidden=\(0,\) is not a tuple of widths"),
    (design(hidden="8"), {}, r"hidden='8' is not a tuple of widths"),
    (design(activation="Tanh"), {}, r"activation='Tanh' is not known; did you mean"),
    (design(embedding=2.5), {}, r"embedding=2.5 is not a dimension"),
    (
        design(net="cnm"),
        {"cnn": MLP(), "other": MLP()},
        (
            r"net=cnm, but networks= has no \"cnm\"; did you mean \"cnn\"\? "
            r"Networks: cnn, other$"
        ),
    ),
    (design(net="cnn"), None, r"has no \"cnn\". Networks: none$"),
    (design(net="cnn"), [MLP()], r"networks= is a mapping from names .*; got list$"),
    (
        design(net="m", hidden=(8,)),
        {"m": MLP()},
        r"hidden= is an option of the built-in network; net=m has its own",
    ),
    (
        design(image=True),
        {},
        r"img is an array, which the built-in network .* networks=\{\"cnn\": networ",
    ),
    (design(net="m"), {"m": 3}, r"^networks\[\"m\"\] must be a network: .*; got 3$"),
    (design(net="m"), {"m": MLP}, r"got the class MLP: call it$"),
    (design(net="m"), {"m": Unhashable()}, r"cannot be hashed; make Unhashable a fro"),
    (
        design(net="m"),
        {"m": (np.ones((2, 3)), lambda w, x: x @ w)},
        (
            r"^nn\(x0, x1\): networks\[\"m\"\] gives shape \(6, 3\) for 6 rows; a "
            r"network gives one number a row: shape \(6,\) or \(6, 1\)$"
        ),
    ),
    (
        design(net="m"),
        {"m": (np.ones(2), lambda w, x: (x @ w).sum())},
        r"gives shape \(\) for 6 rows",
    ),
    (
        design(net="m"),
        {"m": (np.ones(2), lambda w, x: (x @ w, x))},
        r"gives tuple for 6 rows",
    ),
    (
        design(net="m"),
        {"m": constant(lambda x: np.where(np.arange(6) < 2, np.inf, 1.0))},  # noqa: ARG005
        r"networks\[\"m\"\] is not finite in 2 of 6 rows at its initial weights",
    ),
    (
        design(net="m"),
        {"m": ({"k": 1}, lambda w, x: x[:, 0] * w["k"])},
        r"^nn\(x0, x1\): networks\[\"m\"\]: the weights of a network hold int",
    ),
]


@pytest.mark.parametrize(("term", "networks", "message"), BAD)
def test_refuses(term: NetworkDesign, networks: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        network_for(term, networks)


def test_an_error_of_the_network_itself_says_where_it_came_from() -> None:
    def apply(w: Any, x: Any) -> Any:
        raise ZeroDivisionError(f"their own: {w.shape}, {x.shape}")

    with pytest.raises(ZeroDivisionError, match="their own") as caught:
        network_for(design(net="m"), {"m": (np.ones(2), apply)})
    (note,) = caught.value.__notes__
    assert note.startswith('raised by networks["m"] of nn(x0, x1) when called with arr')
    assert "(6, 2)" in note


def test_networks_that_nothing_uses() -> None:
    with pytest.raises(
        OptionError,
        match=r'^networks= has "b", which no term .* write nn\(x0, x1, f, img, net=b\)',
    ):
        check_used([design(net="a")], {"a": MLP(), "b": MLP()})
    with pytest.raises(OptionError, match=r"write nn\(x, net=a\), or leave it out"):
        check_used([], {"a": MLP()})
    check_used([design(net="a"), design()], {"a": MLP()})
