"""Tables of fits that were saved without their data."""

from __future__ import annotations

from pathlib import Path

import pytest

import ngmm
from ngmm.errors import SavedFitError
from tests.broom.examples_broom import fitted


def test_a_fit_without_its_data(tmp_path: Path) -> None:
    fit = fitted("ml")
    fit.save(tmp_path / "fit.ngmm", data=False)
    again = ngmm.load(tmp_path / "fit.ngmm")
    assert again.tidy(conf_int=True).equals(fit.tidy(conf_int=True))
    assert again.glance().equals(fit.glance())
    new = {"Days": [1], "Subject": ["308"]}
    assert again.augment(new).equals(fit.augment(new))
    assert "different rows" not in str(ngmm.side_by_side(fit, again))
    with pytest.raises(SavedFitError, match="left out"):
        again.augment()
