"""Families by name, and what is said of those that are not there."""

from __future__ import annotations

from typing import Any

import pytest

import ngmm
from ngmm import families
from ngmm.errors import NotSupportedError, OptionError


def test_the_gaussian_family() -> None:
    family = families.get("gaussian")
    assert family == families.gaussian() == families.get(families.gaussian())
    assert (family.name, family.link, family.links) == (
        "gaussian",
        "identity",
        ("identity",),
    )
    assert family.has_residual
    assert families.get("gaussian", "identity") == family


def test_a_family_may_be_given_as_an_object() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ 1 + (1 | Subject)", data, family=families.gaussian())
    assert fit.family == "gaussian"


@pytest.mark.parametrize("name", families.PLANNED)
def test_families_of_later_versions(name: str) -> None:
    with pytest.raises(
        NotSupportedError, match=rf"^family '{name}' is not fitted yet.*gaussian family"
    ):
        families.get(name)


@pytest.mark.parametrize(
    ("family", "link", "message"),
    [
        (
            "gausian",
            None,
            r"^there is no family 'gausian'; did you mean \"gaussian\"\?",
        ),
        ("Poisson", None, r"^there is no family 'Poisson'; did you mean \"poisson\"\?"),
        ("zzz", None, r"^there is no family 'zzz'\. Families: gaussian$"),
        (families.gaussian, None, r"^family must be a name such as 'gaussian' or an"),
        (None, None, r"^family must be a name .*; got None$"),
        (3, None, r"^family must be a name .*; got 3$"),
        ("gaussian", "log", r"^family 'gaussian' has no link 'log'\. Links: identity$"),
        ("gaussian", "identiy", r"no link 'identiy'; did you mean \"identity\"\?"),
        ("gaussian", 4, r"^family 'gaussian' has no link '4'"),
    ],
)
def test_what_is_no_family(family: Any, link: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        families.get(family, link)
