"""A fit as one document: nodes for what it is made of, arrays beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ngmm.api import fit as fit_function
from ngmm.design.formulaic_adapter import FormulaicMatrix
from ngmm.errors import SavedFitError
from ngmm.families import Family
from ngmm.likelihood.latent.engine import LatentProblem
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.persistence import hollow
from ngmm.persistence.codec import (
    Decoder,
    Encoder,
    NotStorableError,
    decode_family,
    encode_family,
)
from ngmm.persistence.formulas import decode_matrix, encode_matrix
from ngmm.persistence.latent import (
    decode_estimate,
    decode_problem,
    encode_estimate,
    encode_problem,
)
from ngmm.persistence.networks import (
    Given,
    describe,
    is_adaptable,
    user_networks,
)
from ngmm.persistence.tables import (
    decode_frame,
    decode_index,
    decode_series,
    decode_values,
    encode_foreign,
    encode_frame,
    encode_index,
    encode_series,
    encode_values,
    is_foreign,
)
from ngmm.persistence.types import conforms, field_types
from ngmm.persistence.withheld import Withheld
from ngmm.results import MixedModelFit
from ngmm.results.call import Call

__all__ = ["Document", "from_document", "to_document"]

ENCODERS: Mapping[type, Any] = {
    Family: ("family", encode_family),
    FormulaicMatrix: ("formulaic", encode_matrix),
    LatentProblem: ("latent_problem", encode_problem),
    LatentEstimate: ("latent_estimate", encode_estimate),
    pd.Index: ("index", encode_index),
    pd.Series: ("series", encode_series),
    pd.DataFrame: ("frame", encode_frame),
    pd.api.extensions.ExtensionArray: ("values", encode_values),
}
DECODERS: Mapping[str, Any] = {
    "family": decode_family,
    "formulaic": decode_matrix,
    "latent_problem": decode_problem,
    "latent_estimate": decode_estimate,
    "index": decode_index,
    "series": decode_series,
    "frame": decode_frame,
    "values": decode_values,
}

# In the order in which they are read: networks need the design.
FIELDS = ("terms", "spec", "model", "estimate", "networks", "df_method", "seed")


@dataclass(frozen=True, eq=False)
class Document:
    """A fit in the form of a file.

    Attributes
    ----------
    tree
        JSON.
    arrays
        ``.npy`` each.
    """

    tree: dict[str, Any]
    arrays: list[bytes]


def to_document(fit: MixedModelFit, *, data: bool) -> Document:
    """Return a fit as a document.

    Parameters
    ----------
    fit
        The fit.
    data
        Whether its rows are to be in it.

    Raises
    ------
    SavedFitError
        If it holds something that a file cannot.
    """
    users = user_networks(fit)
    encoder = Encoder(ENCODERS, _names(fit, users))
    # Before the rows are gone: how the networks' inputs look, and what is kept of them.
    described = {n: describe(net, of.inputs) for n, (of, net) in users.items()}
    kept = None
    # What was loaded without its rows has none to save.
    if not data or isinstance(fit.call.data, Withheld):
        _refuse_adaptable(users)
        kept, fit = hollow.kept(fit), hollow.without_rows(fit)
    try:
        fields = {f: encoder(getattr(fit, f), f"fit.{f}") for f in FIELDS}
        rows = _encode_data(encoder, fit.call.data)
        kept = encoder(kept, "kept")
    except NotStorableError as cause:
        raise SavedFitError(_not_storable(cause)) from cause
    tree = {
        "fit": fields,
        "kept": kept,
        "data": rows,
        "arguments": {
            name: _or_withheld(encoder, name, value)
            for name, value in fit.call.arguments.items()
        },
        "estimator": _or_withheld(encoder, "estimator", fit.estimator),
        "networks": described,
    }
    return Document(tree, encoder.members)


def from_document(document: Document, networks: Given) -> MixedModelFit:
    """Return the fit of a document.

    Raises
    ------
    ValueError, TypeError, LookupError
        If it is not as `to_document` wrote it.
    """
    tree = document.tree
    made = {name: network for name, (_, network) in networks.items()}
    decoder = Decoder(document.arrays, DECODERS, made)
    fields = {name: decoder(tree["fit"][name]) for name in FIELDS}
    # What the user gave stands in the arguments, not what the fit made of it.
    given = {name: value for name, (value, _) in networks.items()}
    decoder = decoder.with_networks(given)
    fields["estimator"] = decoder(tree["estimator"])
    arguments = {str(k): decoder(v) for k, v in tree["arguments"].items()}
    fields["call"] = Call(fit_function, decoder(tree["data"]), arguments)
    hints = field_types(MixedModelFit)
    for name, value in fields.items():
        if not conforms(value, hints[name]):
            raise ValueError(f"{name} is {type(value).__name__}")
    fit = MixedModelFit(**fields)
    kept = decoder(tree["kept"])
    if kept is not None:
        hollow.restore(fit, kept)
    return fit


def _refuse_adaptable(users: Mapping[str, Any]) -> None:
    for name, (_, network) in users.items():
        if is_adaptable(network):
            raise SavedFitError(
                f"net={name} takes its scales from the rows of the fit, so that it "
                "cannot be made again without them: leave data=False out"
            )


def _names(fit: MixedModelFit, users: Mapping[str, Any]) -> dict[int, str]:
    """Names of the user's networks, as the user gave them and as the fit holds them."""
    out: dict[int, str] = {}
    given = fit.call.arguments.get("networks") or {}
    for name, (_, network) in users.items():
        out[id(getattr(network, "network", network))] = name
        if name in given:
            out[id(given[name])] = name
    return out


def _encode_data(encoder: Encoder, data: Any) -> Any:
    if is_foreign(data):
        return {"frame": encode_foreign(encoder, data, "data")}
    return encoder(data, "data")


def _or_withheld(encoder: Encoder, name: str, value: Any) -> Any:
    """Return the node of an argument, or what stands for one that holds code."""
    before = len(encoder.members)
    try:
        return encoder(value, name)
    except NotStorableError as cause:
        encoder.forget(before)
        what = type(cause.value).__name__
        return encoder(
            Withheld(
                f"{name}={type(value).__name__}",
                f"which holds code ({what}) that no file can hold",
                f"give it again: fit.update({name}=...)",
            ),
            name,
        )


def _not_storable(cause: NotStorableError) -> str:
    what = type(cause.value).__name__
    if isinstance(cause.value, Family):
        return (
            f"the family {cause.value!r} is not one of ngmm.families: its functions "
            "are code, which a file cannot hold"
        )
    if cause.place.startswith("data"):
        column = cause.place.removeprefix("data")
        return (
            f"data{column} is {what}, which a file cannot hold: numbers, text, dates "
            "and categories can be. Fit with data without this column, or save "
            "without the data: fit.save(path, data=False)"
        )
    return f"{cause.place} is {what}, which a file cannot hold: it is code or foreign"
