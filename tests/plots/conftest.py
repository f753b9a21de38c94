"""No windows, and no figures left open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("Agg")


@pytest.fixture(autouse=True)
def no_open_figures() -> Iterator[None]:
    yield
    plt.close("all")
