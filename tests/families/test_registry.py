"""Families by name, and what is said of names that are not there."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

import ngmm
from ngmm import families
from ngmm.errors import OptionError
from ngmm.families import Family
from tests.families.cases import SETTINGS, every_link

FOLDER = Path(families.__file__).parent


def test_the_registry_is_what_the_contract_names() -> None:
    assert list(families.REGISTRY) == [
        "gaussian",
        "bernoulli",
        "binomial",
        "poisson",
        "negative_binomial",
        "gamma",
        "inverse_gaussian",
        "beta",
        "betabinomial",
    ]
    assert families.REGISTRY.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", families.REGISTRY)
def test_each_family_has_a_file_and_a_public_name(name: str) -> None:
    assert (FOLDER / f"{name}.py").is_file()
    assert name in families.__all__
    make = families.REGISTRY[name]
    assert getattr(families, name) is make
    family = make()
    assert family.name == name
    assert family.link == family.links[0], "the first link is the default"


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("gaussian", "identity"),
        *((n, "logit") for n in ("bernoulli", "binomial", "beta", "betabinomial")),
        *(
            (n, "log")
            for n in ("poisson", "negative_binomial", "gamma", "inverse_gaussian")
        ),
    ],
)
def test_default_links(name: str, link: str) -> None:
    assert families.get(name).link == link


@every_link
def test_one_object_for_a_name_and_a_link(family: Family) -> None:
    assert families.get(family.name, family.link) is family
    assert families.get(family) is family
    assert families.get(family, family.link) is family
    assert pickle.loads(pickle.dumps(family)) is family
    assert copy.deepcopy(family) is family
    assert repr(family) == f"{family.name}({family.link})"
    assert family.transform.name == family.link


@every_link
def test_what_a_family_says_of_itself(family: Family) -> None:
    assert family.has_residual == (family.name == "gaussian")
    assert family.takes_trials == (family.name in {"binomial", "betabinomial"})
    assert family.dispersion in {None, "phi", "size"}
    takes_phi = family.dispersion is not None or family.has_residual
    assert takes_phi == (SETTINGS[family.name].phis != (None,))


def test_a_family_may_be_given_as_an_object() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ 1 + (1 | Subject)", data, family=families.gaussian())
    assert fit.family == "gaussian"


@pytest.mark.parametrize(
    ("family", "link", "message"),
    [
        (
            "gausian",
            None,
            r"^there is no family 'gausian'; did you mean \"gaussian\"",
        ),
        ("poison", None, r"^there is no family 'poison'; did you mean \"poisson\"\?"),
        (
            "zzz",
            None,
            r"^there is no family 'zzz'\. Families: gaussian, bernoulli, ",
        ),
        (families.poisson, None, r"or an object .*; call it, families\.poisson\(\)$"),
        (None, None, r"^family must be a name .*; got None$"),
        (3, None, r"^family must be a name .*; got 3$"),
        ("gaussian", "log", r"^family 'gaussian' has no link 'log'\. Links: identity$"),
        (
            "poisson",
            "logg",
            r"has no link 'logg'; did you mean \"log\"\? Links: log",
        ),
        ("binomial", "probt", r"no link 'probt'; did you mean \"probit\"\?"),
        ("gamma", 4, r"^family 'gamma' has no link '4'"),
        (
            families.poisson(),
            "sqrt",
            r"^family poisson\(log\) has its link already, and link='sqrt' is another",
        ),
    ],
)
def test_what_is_no_family(family: Any, link: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        families.get(family, link)


@pytest.mark.parametrize("name", families.REGISTRY)
def test_each_family_names_its_links(name: str) -> None:
    with pytest.raises(OptionError, match=f"^family '{name}' has no link 'cauchit'"):
        families.REGISTRY[name]("cauchit")


@pytest.mark.parametrize(
    ("foreign", "advice"),
    [
        ("Poisson", 'Write family="poisson"'),
        ("Gamma", 'Write family="gamma"'),
        ("nbinom2", 'Write family="negative_binomial"'),
        ("inverse.gaussian", 'Write family="inverse_gaussian"'),
        ("InverseGaussian", 'Write family="inverse_gaussian"'),
        ("beta_family", 'Write family="beta"'),
        ("beta_binomial", 'Write family="betabinomial"'),
        ("normal", 'Write family="gaussian"'),
        ("binomial(link='probit')", 'Write family="binomial", link="probit"'),
        ('Gamma("log")', 'Write family="gamma", link="log"'),
        ("poisson()", 'Write family="poisson"'),
    ],
)
def test_names_of_other_packages(foreign: str, advice: str) -> None:
    with pytest.raises(OptionError) as error:
        families.get(foreign)
    assert str(error.value) == f"there is no family '{foreign}'. {advice}"
    # The advice works.
    words = advice.replace('"', "").replace("Write ", "").split(", ")
    named = dict(word.split("=") for word in words)
    assert families.get(named["family"], named.get("link")).name == named["family"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("quasipoisson", r"Quasi-likelihoods have no likelihood .*negative_binomial"),
        (
            "nbinom1",
            r"Its variance is linear in the mean; .*\"negative_binomial\"",
        ),
    ],
)
def test_families_that_are_not_there(name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        families.get(name)
