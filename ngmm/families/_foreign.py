"""What other packages call the families."""

from __future__ import annotations

import re

__all__ = ["native_name"]

# Without case, dots, underscores and hyphens.
_NATIVE = {
    "normal": "gaussian",
    "binary": "bernoulli",
    "logistic": "bernoulli",
    "nbinom": "negative_binomial",
    "nbinom2": "negative_binomial",
    "nb": "negative_binomial",
    "nb2": "negative_binomial",
    "negbin": "negative_binomial",
    "negbinomial": "negative_binomial",
    "negativebinomial": "negative_binomial",
    "negbinomial2": "negative_binomial",
    "inversegaussian": "inverse_gaussian",
    "invgaussian": "inverse_gaussian",
    "wald": "inverse_gaussian",
    "betafamily": "beta",
    "betar": "beta",
    "betabinomial": "betabinomial",
    "gaussian": "gaussian",
    "bernoulli": "bernoulli",
    "binomial": "binomial",
    "poisson": "poisson",
    "gamma": "gamma",
    "beta": "beta",
}

_CALL = re.compile(
    r"""^\s*(?P<name>[\w.\-]+)\s*
        \(\s*(?:link\s*=\s*)?["']?(?P<link>[\w/^.]*)["']?\s*\)\s*$""",
    re.VERBOSE,
)


def native_name(family: str) -> str:
    """What to write for a name from elsewhere, as a sentence; empty if unknown.

    Examples
    --------
    >>> native_name("nbinom2")
    'Write family="negative_binomial"'
    >>> native_name("binomial(link='probit')")
    'Write family="binomial", link="probit"'
    >>> native_name("zzz")
    ''
    """
    call = _CALL.match(family)
    name, link = (call["name"], call["link"]) if call else (family.strip(), "")
    folded = re.sub(r"[._\-\s]", "", name).casefold()
    if folded.startswith("quasi"):
        return (
            "Quasi-likelihoods have no likelihood to integrate; overdispersed counts "
            'are family="negative_binomial" or family="betabinomial"'
        )
    if folded == "nbinom1":
        return (
            'Its variance is linear in the mean; family="negative_binomial" has a '
            "quadratic one (nb2)"
        )
    native = _NATIVE.get(folded)
    if native is None:
        return ""
    chosen = f', link="{link}"' if link else ""
    return f'Write family="{native}"{chosen}'
