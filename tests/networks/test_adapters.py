"""Networks of the user: the output is that of the library, whatever holds it."""

from __future__ import annotations

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ngmm.errors import OptionError
from ngmm.linalg import precise
from ngmm.networks import Inputs, Network, flatten
from ngmm.networks.adapters import adapt

# Users make their modules in float32, and the library's output is in it: the weights
# are the same in float64, the sums of a few dozen products are not.
SINGLE = 5e-6


@pytest.fixture
def tabular() -> Inputs:
    return Inputs(np.random.default_rng(0).normal(size=(6, 3)))


@pytest.fixture
def images() -> Inputs:
    pixels = np.random.default_rng(1).normal(size=(5, 8, 8)).astype(np.float32)
    return Inputs(np.empty((5, 0)), arrays=(pixels,))


def adapted(value: Any) -> Network:
    network = adapt(value)
    assert network is not None
    assert isinstance(network, Network)
    return network


def check(value: Any, seen: Inputs, expected: Any) -> Any:
    """Check output, gradient, groups and hash of a network; return its weights."""
    with precise():
        return check_precisely(value, seen, expected)


def check_precisely(value: Any, seen: Inputs, expected: Any) -> Any:
    network = adapted(value)
    weights = network.init(jax.random.key(0), seen)
    vector, unravel = flatten(weights)
    assert vector.dtype == np.float64

    def total(v: Any, static: Any) -> Any:
        return static.apply(unravel(v), seen)

    output = jax.jit(total, static_argnums=1)(vector, network)
    assert output.shape == (seen.n_rows,)
    np.testing.assert_allclose(
        output, np.asarray(expected).reshape(-1), rtol=SINGLE, atol=SINGLE
    )
    # A step against the gradient changes the output: the weights do reach it.
    slope = jax.grad(lambda v: (total(v, network) ** 2).sum())(vector)
    assert np.linalg.norm(slope) > 0
    groups = network.penalty_groups(weights)
    assert jax.tree.structure(groups) == jax.tree.structure(weights)
    leaves = jax.tree.leaves(groups)
    assert [set(np.ravel(g).tolist()) for g in leaves] == [
        {position} for position in range(len(leaves))
    ]
    assert adapted(value) == network
    assert hash(adapted(value)) == hash(network)
    assert network.symmetries(weights) == 0.0
    return weights


@pytest.mark.parametrize("out_size", ["scalar", 1])
def test_equinox_mlp(tabular: Inputs, out_size: Any) -> None:
    eqx = pytest.importorskip("equinox")
    module = eqx.nn.MLP(3, out_size, 4, 2, key=jax.random.key(1))
    expected = jax.vmap(module)(tabular.x)
    weights = check(module, tabular, expected)
    # The weights of the module are where a fit starts.
    np.testing.assert_array_equal(
        weights.layers[0].weight, np.asarray(module.layers[0].weight, dtype=float)
    )
    assert adapted(module).layout(tabular) == "MLP"
    assert flatten(pickle.loads(pickle.dumps(weights)))[0].size == 41


def test_equinox_keeps_what_is_no_weight(tabular: Inputs) -> None:
    eqx = pytest.importorskip("equinox")

    class Selected(eqx.Module):
        linear: Any
        columns: Any
        activation: Any
        dropout: Any

        def __call__(self, x: Any) -> Any:
            return self.dropout(self.activation(self.linear(x[self.columns])))[0]

    module = Selected(
        eqx.nn.Linear(2, 1, key=jax.random.key(0)),
        jnp.array([2, 0]),
        jnp.tanh,
        eqx.nn.Dropout(0.5),
    )
    still = eqx.nn.inference_mode(module)
    expected = jax.vmap(still)(tabular.x)
    weights = check(module, tabular, expected)
    assert len(jax.tree.leaves(weights)) == 2


def test_equinox_convolution_reads_images(images: Inputs) -> None:
    eqx = pytest.importorskip("equinox")

    class Convolution(eqx.Module):
        conv: Any
        linear: Any

        def __call__(self, image: Any) -> Any:
            return self.linear(jnp.tanh(self.conv(image[None])).ravel())

    keys = jax.random.split(jax.random.key(0))
    module = Convolution(
        eqx.nn.Conv2d(1, 2, 3, key=keys[0]), eqx.nn.Linear(72, "scalar", key=keys[1])
    )
    check(module, images, jax.vmap(module)(images.arrays[0]))


def test_function_that_makes_equinox_modules(tabular: Inputs) -> None:
    eqx = pytest.importorskip("equinox")

    def make(key: Any) -> Any:
        return eqx.nn.MLP(3, 1, 4, 1, key=key)

    # A random key gives other numbers in another precision.
    with precise():
        expected = jax.vmap(make(jax.random.key(0)))(tabular.x)
    check(make, tabular, expected)
    network = adapted(make)
    first, second = (
        flatten(network.init(jax.random.key(i), tabular))[0] for i in range(2)
    )
    assert not np.array_equal(first, second)


def test_flax_linen(tabular: Inputs) -> None:
    nn = pytest.importorskip("flax.linen")

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.Dense(1)(nn.tanh(nn.Dense(5)(x)))

    module = Net()
    variables = module.init(jax.random.key(0), tabular.x[:1])
    weights = check(module, tabular, module.apply(variables, tabular.x))
    assert set(weights) == {"Dense_0", "Dense_1"}
    assert adapted(module).layout(tabular) == "Net"


def test_flax_nnx(tabular: Inputs) -> None:
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.first = nnx.Linear(3, 4, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            self.last = nnx.Linear(4, 1, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.last(self.dropout(nnx.tanh(self.first(x))))

    module = Net(nnx.Rngs(0))
    kernel = np.asarray(module.first.kernel[...]).copy()
    still = Net(nnx.Rngs(0))
    still.eval()
    weights = check(module, tabular, still(jnp.asarray(tabular.x)))
    np.testing.assert_array_equal(weights["first"]["kernel"], kernel)
    # The user's module is left as it was.
    np.testing.assert_array_equal(module.first.kernel[...], kernel)


def test_batch_statistics_are_refused(tabular: Inputs) -> None:
    nn = pytest.importorskip("flax.linen")
    nnx = pytest.importorskip("flax.nnx")

    class Linen(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.BatchNorm(use_running_average=True)(x)[:, 0]

    for module in (Linen(), nnx.BatchNorm(3, rngs=nnx.Rngs(0))):
        with pytest.raises(OptionError, match="keeps a state beside its weights"):
            adapted(module).init(jax.random.key(0), tabular)


def test_init_and_apply(tabular: Inputs) -> None:
    seen: list[tuple[int, ...]] = []

    def init(key: Any, x: Any) -> Any:
        seen.append(x.shape)
        return {"w": jax.random.normal(key, (x.shape[1],), dtype=float), "c": 1.5}

    def apply(weights: Any, x: Any) -> Any:
        return jnp.tanh(x) @ weights["w"] + weights["c"]

    with precise():
        w = jax.random.normal(jax.random.key(0), (3,), dtype=float)
    check((init, apply), tabular, np.tanh(tabular.x) @ np.asarray(w) + 1.5)
    assert seen[0] == (1, 3)
    assert adapted((init, apply)).layout(tabular) == "apply"


def test_weights_and_apply(tabular: Inputs) -> None:
    pair = ([np.float32(0.5), np.ones(3)], lambda w, x: w[0] * (x @ w[1])[:, None])
    check(pair, tabular, 0.5 * tabular.x.sum(axis=1))
    assert adapted(pair).layout(tabular) == "network"


def test_arguments_in_order_without_empty_ones() -> None:
    x = np.ones((4, 2))
    codes = np.array([3, 1, 0, 2], dtype=np.int32)
    pixels = np.arange(4, dtype=np.uint8).reshape(4, 1, 1)
    called: list[tuple[Any, ...]] = []

    def apply(weights: Any, *arguments: Any) -> Any:
        called.append(arguments)
        return weights * arguments[0].reshape(4, -1)[:, 0]

    network = adapted((np.ones(()), apply))
    everything = Inputs(x, (codes,), (pixels,))
    with precise():
        network.apply(1.0, everything)
        network.apply(1.0, everything._replace(x=np.empty((4, 0))))
        network.apply(1.0, everything._replace(codes=()))
    assert [list(map(id, arguments)) for arguments in called] == [
        [id(x), id(codes), id(pixels)],
        [id(codes), id(pixels)],
        [id(x), id(pixels)],
    ]


def test_networks_with_the_same_functions_are_equal_and_others_are_not() -> None:
    def apply(w: Any, x: Any) -> Any:
        return x @ w

    pair = (np.ones(3), apply)
    assert adapt(pair) == adapt(pair)
    assert adapt(pair) != adapt((np.ones(3), apply))


def test_no_weights_at_all() -> None:
    network = adapted(((), lambda weights, x: x[:, 0]))  # noqa: ARG005
    seen = Inputs(np.array([[1.0], [2.0]]))
    weights = network.init(jax.random.key(0), seen)
    assert flatten(weights)[0].size == 0
    assert network.apply(weights, seen).tolist() == [1.0, 2.0]


def test_refuses() -> None:
    seen = Inputs(np.ones((2, 1)))
    whole = adapted(({"w": np.ones(1), "k": np.array(3)}, lambda w, x: x @ w["w"]))
    with pytest.raises(
        OptionError, match=r"hold int\d\d; they must be arrays of floats"
    ):
        whole.init(jax.random.key(0), seen)
    with pytest.raises(OptionError, match=r"function helper given as a network return"):
        adapt(helper)
    assert adapt("cnn") is None
    assert adapt(dict) is None


def helper(key: Any) -> Any:
    return key
