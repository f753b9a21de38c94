"""The built-in network against a computation in numpy, and its ridge groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import permutations, product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ngmm.errors import OptionError
from ngmm.linalg import precise
from ngmm.networks import MLP, Inputs, flatten, with_latent

# Both sides are sums of a few dozen products in float64.
ROUNDING = 1e-13


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with precise():
        yield


def inputs(n: int = 7, d: int = 3, levels: tuple[int, ...] = ()) -> Inputs:
    rng = np.random.default_rng(4)
    codes = tuple(rng.integers(k, size=n).astype(np.int32) for k in levels)
    return Inputs(rng.normal(size=(n, d)), codes)


def random_like(weights: Any, seed: int = 1) -> Any:
    vector, unravel = flatten(weights)
    return unravel(jnp.asarray(np.random.default_rng(seed).normal(size=vector.size)))


NUMPY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda a: np.where(a > 0, a, 0.0),
    "silu": lambda a: a / (1 + np.exp(-a)),
    "softplus": lambda a: np.log1p(np.exp(a)),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "identity": lambda a: a,
    # The tanh form of the Gaussian error linear unit (Hendrycks and Gimpel 2016).
    "gelu": lambda a: (
        a / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)))
    ),
}


@pytest.mark.parametrize("activation", NUMPY)
def test_output_is_that_of_numpy(activation: str) -> None:
    seen = inputs(levels=(12, 30))
    network = MLP((5, 4), activation, levels=(12, 30))
    weights = random_like(network.init(jax.random.key(0), seen))
    z = np.concatenate(
        [seen.x]
        + [
            np.asarray(E)[c]
            for E, c in zip(weights["embeddings"], seen.codes, strict=True)
        ],
        axis=1,
    )
    h = z
    for W, c in weights["layers"]:
        h = NUMPY[activation](h @ np.asarray(W) + np.asarray(c))
    expected = z @ np.asarray(weights["skip"]) + h @ np.asarray(weights["out"])
    output = network.apply(weights, seen)
    assert output.dtype == np.float64
    np.testing.assert_allclose(output, expected, rtol=ROUNDING, atol=ROUNDING)


def test_zero_hidden_weights_give_the_linear_function() -> None:
    seen = inputs()
    network = MLP((4, 4))
    weights = network.init(jax.random.key(0), seen)
    slopes = np.array([0.5, -2.0, 3.0])
    flat = {
        **jax.tree.map(jnp.zeros_like, weights),
        "skip": jnp.asarray(slopes),
    }
    np.testing.assert_array_equal(network.apply(flat, seen), seen.x @ slopes)


def test_without_hidden_layers_it_is_linear() -> None:
    seen = inputs()
    network = MLP(())
    weights = random_like(network.init(jax.random.key(0), seen))
    np.testing.assert_allclose(
        network.apply(weights, seen), seen.x @ weights["skip"], rtol=ROUNDING
    )
    assert flatten(weights)[0].size == 3
    assert network.layout(seen) == "3-1"
    assert network.symmetries() == 0.0


def test_initial_weights() -> None:
    seen = inputs(d=400)
    network = MLP((300,))
    weights = network.init(jax.random.key(3), seen)
    W, c = weights["layers"][0]
    # The sd of 120,000 draws has a relative standard error of 0.2 %: six of them.
    assert np.std(W) == pytest.approx(1 / np.sqrt(400), rel=0.012)
    assert not np.any(c)
    assert not np.any(weights["skip"])
    again = network.init(jax.random.key(3), seen)
    assert jax.tree.all(jax.tree.map(np.array_equal, weights, again))
    other = network.init(jax.random.key(4), seen)
    assert not np.array_equal(W, other["layers"][0][0])


@pytest.mark.parametrize(
    ("levels", "given", "sizes"),
    [((11, 40, 1000), None, (6, 8, 8)), ((11, 40), 3, (3, 3)), ((), None, ())],
)
def test_embedding_sizes(
    levels: tuple[int, ...], given: int | None, sizes: tuple[int, ...]
) -> None:
    network = MLP(levels=levels, embedding=given)
    assert network.embedding_sizes == sizes


def test_ridge_groups_cover_every_weight_once() -> None:
    # Inputs: two columns of their own, a factor of three indicators, one embedding.
    seen = inputs(d=5, levels=(12,))
    network = MLP((3, 2), levels=(12,), column_inputs=(0, 1, 1, 1, 2))
    weights = network.init(jax.random.key(0), seen)
    groups = network.penalty_groups(weights)
    assert jax.tree.structure(groups) == jax.tree.structure(weights)
    sizes = jax.tree.map(lambda w, g: w.shape == g.shape, weights, groups)
    assert jax.tree.all(sizes)
    flat = np.concatenate([np.ravel(g) for g in jax.tree.leaves(groups)])
    # Four inputs, biases; weights and biases of layer 2; output; four inputs of the
    # linear path; the embedding.
    assert set(flat) == set(range(4 + 1 + 2 + 1 + 4 + 1))
    (first, bias), (second, _) = groups["layers"]
    e = network.embedding_sizes[0]
    assert first[:, 0].tolist() == [0, 1, 1, 1, 2] + [3] * e
    assert (first == first[:, :1]).all()
    assert set(bias) == {4}
    assert set(second.ravel()) == {5}
    skip = groups["skip"].tolist()
    assert skip[1] == skip[2] == skip[3]
    assert len(set(skip)) == 4
    assert not set(skip) & set(first.ravel().tolist())


def test_columns_beyond_the_inputs_have_groups_of_their_own() -> None:
    seen = with_latent(inputs(d=2), jnp.ones((7, 2)))
    network = MLP((3,), column_inputs=(0, 0))
    groups = network.penalty_groups(network.init(jax.random.key(0), seen))
    assert groups["layers"][0][0][:, 0].tolist() == [0, 0, 1, 2]
    assert network.layout(seen) == "4-3-1"


def test_layout_counts_embeddings() -> None:
    network = MLP((8, 4), levels=(12,))
    assert network.layout(inputs(d=5, levels=(12,))) == "11-8-4-1"


@pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])
def test_symmetries_are_counted(activation: str) -> None:
    """Every permutation, and for odd activations every flip, leaves the output."""
    seen = inputs()
    network = MLP((3,), activation)
    weights = random_like(network.init(jax.random.key(0), seen))
    (W, c), out = weights["layers"][0], weights["out"]
    expected = network.apply(weights, seen)
    found = set()
    for order in permutations(range(3)):
        for signs in product([1.0, -1.0], repeat=3):
            flip = np.array(signs)
            columns = np.array(order)
            moved = {
                **weights,
                "layers": ((W[:, columns] * flip, c[columns] * flip),),
                "out": out[columns] * flip,
            }
            if np.allclose(network.apply(moved, seen), expected, atol=1e-12):
                found.add(tuple(np.round(flatten(moved)[0], 12).tolist()))
    assert network.symmetries() == pytest.approx(math.log(len(found)), rel=1e-14)


def test_units_that_are_off_have_no_symmetry() -> None:
    seen = inputs()
    network = MLP((5, 4))
    weights = random_like(network.init(jax.random.key(0), seen))
    assert network.symmetries(weights) == network.symmetries()
    layers = weights["layers"]
    off = {
        **weights,
        # Unit 0 of the first layer has no input, unit 3 of the second no output.
        "layers": ((layers[0][0].at[:, 0].set(0.0), layers[0][1]), layers[1]),
        "out": weights["out"].at[3].set(1e-9),
    }
    expected = MLP((4, 3)).symmetries()
    assert network.symmetries(off) == pytest.approx(expected, rel=1e-14)


def test_is_a_hashable_value() -> None:
    assert MLP((3,)) == MLP((3,))
    assert hash(MLP((3,))) == hash(MLP((3,)))
    assert MLP((3,)) != MLP((3,), "relu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": (8, 0)}, r"hidden=\(8, 0\) is not a tuple of widths; write posi"),
        ({"hidden": (8.0,)}, r"hidden=\(8.0,\) is not a tuple of widths"),
        ({"hidden": (True,)}, r"hidden=\(True,\) is not a tuple of widths"),
        ({"hidden": [8, 8]}, r"hidden=\[8, 8\] is not .*such as hidden=\(8, 8\)"),
        ({"activation": "tanhh"}, r"activation='tanhh' is not.*mean \"tanh\"\?.*silu"),
        ({"activation": np.tanh}, r"is not known.*Activations: tanh, relu"),
        ({"embedding": 0}, r"embedding=0 is not a dimension; write a positive"),
    ],
)
def test_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        MLP(**arguments)  # pyright: ignore[reportArgumentType]
