"""The network terms of a fit in words and numbers: for its summary and `nn_table`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import NetworkDesign
from ngmm.estimation.status import Status
from ngmm.inference.neural import search_kind
from ngmm.networks import MLP
from ngmm.neural.record import FittedNetworks, Member
from ngmm.results.formatting import integer

Vector = NDArray[np.float64]

# Relative tolerance of the projection on factors with many levels: shares are printed
# as whole percentages.
_SHARE = 1e-8


def network_frame(networks: FittedNetworks) -> pd.DataFrame:
    """A row for each network term; the columns are those of `MixedModelFit.nn_table`.

    Parameters
    ----------
    networks
        The fitted networks.
    """
    training = [d.inputs for d in networks.designs]
    by_member = networks.member_outputs(training, networks.X)
    shares = np.array([m.share for m in networks.members])
    f = np.einsum("m,mnt->nt", shares, by_member)
    apart = np.sqrt(np.einsum("m,mnt->t", shares, (by_member - f) ** 2) / len(f))
    sd = f.std(axis=0)
    best, rows = networks.members[0], []
    edf = networks.edf
    for t, design in enumerate(networks.designs):
        rows.append(
            {
                "layout": _layout(networks, best, t),
                "weights": int(best.active[weights_of(networks, t)].sum()),
                "edf": edf[t],
                "penalty": _penalty(networks, t),
                "sd": sd[t],
                "linear": linear_share(f[:, t], design),
                "spread": apart[t] / sd[t] if len(shares) > 1 and sd[t] else np.nan,
            }
        )
    index = pd.Index(list(networks.labels), dtype=object)
    return pd.DataFrame(rows, index=index)


def weights_of(networks: FittedNetworks, term: int) -> slice:
    """Where the weights of a term stand among those of all networks."""
    sizes = networks.stack.sizes
    start = sum(sizes[:term])
    return slice(start, start + sizes[term])


def linear_share(f: Vector, design: NetworkDesign) -> float:
    """R^2 of the least-squares projection of f on the inputs, each level an indicator.

    Missing if the inputs are arrays, or f the same in all rows.
    """
    x, codes = np.asarray(design.inputs.x), design.inputs.codes
    total = float(((f - f.mean()) ** 2).sum())
    if x.shape[1] + len(codes) == 0 or total == 0.0:
        return np.nan
    columns = np.column_stack([np.ones(len(f)), x])
    if codes:
        left = _residual_sparse(f, columns, [np.asarray(c) for c in codes])
    else:
        left = f - columns @ np.linalg.lstsq(columns, f, rcond=None)[0]
    return 1.0 - float((left**2).sum()) / total


def method_text(networks: FittedNetworks) -> str:
    """How the networks were fitted, for the summary."""
    kind = search_kind(networks)
    if kind == "minibatches":
        epochs = f"{integer(networks.n_epochs)} epoch{'s' * (networks.n_epochs != 1)}"
        return f"networks by minibatches (optax), {epochs}"
    starts, used = len(networks.evidences), len(networks.members)
    if kind == "linear":
        return "linear networks, unpenalised"
    text = "networks penalised by evidence"
    if used > 1:
        return f"{text}, {used} of {starts} starts averaged"
    return f"{text}, best of {starts} starts" if starts > 1 else f"{text}, 1 start"


def method_and_status(networks: FittedNetworks, status: Status) -> str:
    """The same, and how it ended unless it converged."""
    text = method_text(networks)
    return text if status is Status.CONVERGED else f"{text}; {status.sentence}"


def network_caption(networks: FittedNetworks) -> str:
    """What the numbers of the table are about."""
    lines = ["sd(f): of the network's output over the rows, on the scale of the link"]
    if len(networks.members) > 1:
        widths = [m.width for m in networks.members if m.width is not None]
        span = ""
        if any(widths):
            hidden = [w for w in widths if w]
            low, high = min(hidden), max(hidden)
            span = f" with {low}" + (f" to {high}" * (high > low)) + " hidden units"
            span += ", one of them linear" if 0 in widths else ""
        lines.append(
            f"average of {len(networks.members)} networks{span}; layout and weights: "
            "of the one with the highest evidence; spread: their rms difference over "
            "sd(f)"
        )
    return "\n".join(lines)


def _layout(networks: FittedNetworks, member: Member, term: int) -> str:
    network, design = networks.stack.networks[term], networks.designs[term]
    given = {"hidden", "net"} & set(design.options)
    if isinstance(network, MLP) and member.width is not None and not given:
        hidden = (member.width,) * len(network.hidden) if member.width else ()
        network = replace(network, hidden=hidden)
    return network.layout(design.inputs)


def _penalty(networks: FittedNetworks, term: int) -> float:
    """Geometric mean of the ridge penalties, weighted by effective weights."""
    groups = np.unique(networks.groups[weights_of(networks, term)])
    total, weight = 0.0, 0.0
    for member in networks.members:
        edf, log_penalty = member.edf[groups], member.log_penalty[groups]
        used = edf > 0
        total += member.share * float(edf[used] @ log_penalty[used])
        weight += member.share * float(edf[used].sum())
    return float(np.exp(total / weight)) if weight > 0 else np.nan


def _residual_sparse(f: Vector, columns: Any, codes: list[NDArray[Any]]) -> Vector:
    """Residual of f on columns and the indicators of factors with many levels."""
    # Importing it changes the filters of warnings.
    from scipy import sparse
    from scipy.sparse.linalg import lsqr

    n = len(f)
    blocks = [sparse.csr_array(columns)]
    for c in codes:
        indicators = sparse.csr_array(
            (np.ones(n), (np.arange(n), c)), shape=(n, int(c.max()) + 1)
        )
        blocks.append(indicators)
    wide = sparse.hstack(blocks, format="csr")
    return f - wide @ lsqr(wide, f, atol=_SHARE, btol=_SHARE)[0]
