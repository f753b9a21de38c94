"""Batches of whole levels: each level once, rows in their places, one shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngmm.likelihood.batches import Batches, Picks, index_levels


@st.composite
def batches(draw: st.DrawFn) -> tuple[NDArray[np.int32], Batches]:
    """Codes in any order, some of their levels in use, and a number of batches."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=30))
    seed = draw(st.integers(0, 100))
    codes = np.repeat(np.arange(len(sizes)), sizes)
    codes = np.random.default_rng(seed).permutation(codes).astype(np.int32)
    used = draw(st.lists(st.sampled_from(range(len(sizes))), min_size=1, unique=True))
    n_batches = draw(st.integers(1, len(used)))
    index = index_levels(codes, len(sizes))
    return codes, Batches(index, np.array(sorted(used)), n_batches)


def contents(picks: Picks, codes: NDArray[np.int32]) -> list[set[int]]:
    """Levels of each batch, after a look at where its rows stand."""
    found = []
    for rows, places, size in zip(*picks, strict=True):
        level, place = codes[rows[:size]], places[:size]
        # Rows of one level stand together, levels in the order of their places.
        assert (np.diff(place) >= 0).all()
        pairs = set(zip(level.tolist(), place.tolist(), strict=True))
        assert len(pairs) == len(set(level)) == len(set(place))
        found.append(set(level.tolist()))
    return found


@given(batches(), st.integers(0, 1000))
def test_an_epoch_visits_every_row_of_every_level_once(
    case: tuple[NDArray[np.int32], Batches], seed: int
) -> None:
    codes, dealt = case
    picks = dealt.draw(np.random.default_rng(seed))
    assert picks.rows.shape == (dealt.n_batches, dealt.height)
    levels = contents(picks, codes)
    assert sorted(level for batch in levels for level in batch) == list(dealt.levels)
    assert all(1 <= len(batch) <= dealt.width for batch in levels)
    visited = np.concatenate(
        [r[:s] for r, s in zip(picks.rows, picks.sizes, strict=True)]
    )
    wanted = np.flatnonzero(np.isin(codes, dealt.levels))
    np.testing.assert_array_equal(np.sort(visited), wanted)


@given(batches())
def test_no_batch_has_room_for_more_than_a_mean_batch_and_one_level(
    case: tuple[NDArray[np.int32], Batches],
) -> None:
    _, dealt = case
    largest = dealt.index.size[dealt.levels].max()
    assert dealt.height <= dealt.n_rows / dealt.n_batches + largest


def test_epochs_differ_and_a_seed_brings_them_back() -> None:
    codes = np.repeat(np.arange(40), 3).astype(np.int32)
    dealt = Batches(index_levels(codes, 40), np.arange(40), 8)
    generator = np.random.default_rng(1)
    first, second = dealt.draw(generator), dealt.draw(generator)
    again = dealt.draw(np.random.default_rng(1))
    assert contents(first, codes) != contents(second, codes)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_levels_of_all_sizes_meet() -> None:
    """Any two levels of different strata share a batch sooner or later."""
    sizes = np.array([50, 40, 3, 2, 2, 1])
    codes = np.repeat(np.arange(6), sizes).astype(np.int32)
    dealt = Batches(index_levels(codes, 6), np.arange(6), 2)
    generator = np.random.default_rng(0)
    met: set[frozenset[int]] = set()
    for _ in range(60):
        for batch in contents(dealt.draw(generator), codes):
            met |= {frozenset((a, b)) for a in batch for b in batch if a < b}
    # The two largest are one stratum, as are 3 and one of the twos, and the last two;
    # a pair of others misses all of 60 draws with probability 2^-60.
    assert frozenset((0, 1)) not in met
    assert {frozenset((i, j)) for i in (0, 1) for j in (2, 3, 4, 5)} <= met


@pytest.mark.parametrize("n_batches", [1, 5])
def test_a_level_larger_than_the_others_together_stays_whole(n_batches: int) -> None:
    codes = np.repeat(np.arange(10), [1000, *[2] * 9]).astype(np.int32)
    dealt = Batches(index_levels(codes, 10), np.arange(10), n_batches)
    picks = dealt.draw(np.random.default_rng(0))
    whole = [np.sum(codes[r[:s]] == 0) for r, s in zip(*picks[::2], strict=True)]
    assert max(whole) == 1000
    assert sum(whole) == 1000
