"""The frozen records that the design layer hands to the rest of the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.networks.inputs import Inputs

__all__ = [
    "Design",
    "LatentDesign",
    "NetworkDesign",
    "NewDesign",
    "NewLatent",
    "RandomDesign",
]


@dataclass(frozen=True, eq=False)
class RandomDesign:
    """One random-effects term as arrays.

    The term contributes ``sum_k Z[i, k] * b[codes[i], k]`` to the linear predictor of
    row i, so the sparse matrix of textbooks is never formed.

    Attributes
    ----------
    group
        Name of the grouping factor, ``"a:b"`` for an interaction.
    names
        Names of the k columns of ``Z``: ``"Intercept"``, ``"Days"``, ``"recipe[B]"``.
    Z
        Values that multiply the random effects, shape (n, k).
    codes
        Level of each row as an index into ``levels``, shape (n,). In a design for new
        data, -1 marks a level that was not in the training data.
    levels
        Labels of the levels in the order of the codes; ``"A:a"`` for an interaction.
    correlated
        False for a term written with ``||``: the columns of ``Z`` are independent.
    network
        Position in ``Design.networks`` of the network on whose last hidden units the
        term has random slopes, ``(1 + nn | g)``; None for none. The units follow the
        other columns once the network is fitted.
    n_units
        How many of the columns of ``Z``, at its end, are such units.
    feature
        The units as the formula has them, ``"nn"`` or ``"nn(net=first)"``.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "g": list("aab")})
    >>> design, spec = ngmm.build_design(ngmm.parse("y ~ 1 + (x | g)"), data)
    >>> term = design.random[0]
    >>> term.label, term.Z.tolist(), term.n_levels, term.n_own
    ('(1 + x | g)', [[1.0, 0.0], [1.0, 1.0], [1.0, 3.0]], 2, 2)
    """

    group: str
    names: tuple[str, ...]
    Z: NDArray[np.float64]
    codes: NDArray[np.int32]
    levels: pd.Index
    correlated: bool
    network: int | None = None
    n_units: int = 0
    feature: str = "nn"

    @property
    def n_levels(self) -> int:
        """Number of levels of the grouping factor."""
        return len(self.levels)

    @property
    def n_own(self) -> int:
        """Number of columns of ``Z`` that are no units of a network."""
        return len(self.names) - self.n_units

    def with_units(
        self, units: NDArray[np.float64], names: tuple[str, ...]
    ) -> RandomDesign:
        """Return the term with units of its network as further columns.

        Parameters
        ----------
        units
            (n, width) the units of each row.
        names
            Their names.

        Returns
        -------
        RandomDesign
            With Z of shape (n, k + width).

        Examples
        --------
        >>> import ngmm, pandas as pd
        >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "g": list("aab")})
        >>> design, spec = ngmm.build_design(ngmm.parse("y ~ 1 + (1 | g)"), data)
        >>> units = design.X[:, :1] * 2.0
        >>> term = design.random[0].with_units(units, ("unit1",))
        >>> term.names, term.Z.tolist()
        (('Intercept', 'unit1'), [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
        """
        return replace(
            self,
            names=(*self.names[: self.n_own], *names),
            Z=np.hstack([self.Z[:, : self.n_own], units]),
            n_units=units.shape[1],
        )

    @property
    def label(self) -> str:
        """The term as a reader would write it: ``(1 + Days | Subject)``."""
        own = self.names[: self.n_own]
        names = ["1" if name == "Intercept" else name for name in own]
        if "1" not in names:
            names.insert(0, "0")
        if self.network is not None:
            names.append(self.feature)
        bar = "|" if self.correlated else "||"
        return f"({' + '.join(names)} {bar} {self.group})"


@dataclass(frozen=True, eq=False)
class NetworkDesign:
    """One network term as arrays.

    Attributes
    ----------
    label
        The term as tables call it: ``nn(x1, log(x2))``.
    inputs
        What the network reads, a row for each row of the design.
    columns
        Names of the columns of ``inputs.x``: ``"x1"``, ``"log(x2)"``, ``"f[a]"``.
    variables
        The inputs as written in the formula.
    column_inputs
        For each column of ``inputs.x``, the position in ``variables`` of its input.
    code_inputs, array_inputs
        The same for ``inputs.codes`` and ``inputs.arrays``.
    levels
        Number of levels of each factor in ``inputs.codes``.
    shared
        Positions of the columns of ``Design.X`` that the network is made orthogonal to:
        the intercept, and those of terms all of whose variables are among its inputs.
        Empty for a latent term.
    options
        The options in the call, ``{"hidden": (8, 8)}``.
    centred
        Whether the columns of ``Design.X`` span the constant although none of them is
        the intercept, as the indicators of a factor do: then the network is centred as
        well. `basis` includes the column of ones.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "g": list("aab")})
    >>> terms = ngmm.parse("y ~ x + nn(x, hidden=(2,)) + (1 | g)")
    >>> design, spec = ngmm.build_design(terms, data)
    >>> term = design.networks[0]
    >>> term.label, term.columns, term.options, term.inputs.x.shape
    ('nn(x)', ('x',), {'hidden': (2,)}, (3, 1))
    >>> term.basis(design.X).shape
    (3, 2)
    """

    label: str
    inputs: Inputs
    columns: tuple[str, ...]
    variables: tuple[str, ...]
    column_inputs: tuple[int, ...]
    code_inputs: tuple[int, ...] = ()
    array_inputs: tuple[int, ...] = ()
    levels: tuple[int, ...] = ()
    shared: tuple[int, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    centred: bool = False

    def basis(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the columns that the network is made orthogonal to.

        Parameters
        ----------
        X
            (n, p) fixed-effects matrix, of the training design or of new data.

        Returns
        -------
        ndarray
            (n, r): the columns of ``shared``, after one of ones if the term is centred.
        """
        columns = X[:, list(self.shared)]
        if self.centred:
            return np.column_stack([np.ones(len(X)), columns])
        return columns


@dataclass(frozen=True, eq=False)
class LatentDesign:
    """One network with a latent input, ``(nn(x1, x2) | g)``, as arrays.

    Attributes
    ----------
    group
        Name of the grouping factor.
    codes
        Level of each row as an index into ``levels``, shape (n,).
    levels
        Labels of the levels in the order of the codes.
    network
        The inputs of the network, without the latent ones.
    n_latent
        Number of latent values of each level; they are appended to ``inputs.x`` as its
        last columns (`ngmm.networks.with_latent`).

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "g": list("aab")})
    >>> terms = ngmm.parse("y ~ 0 + (nn(x, hidden=()) | g)")
    >>> term = ngmm.build_design(terms, data)[0].latent[0]
    >>> term.label, term.n_levels, term.codes.tolist()
    ('(nn(x) | g)', 2, [0, 0, 1])
    """

    group: str
    codes: NDArray[np.int32]
    levels: pd.Index
    network: NetworkDesign
    n_latent: int = 1

    @property
    def n_levels(self) -> int:
        """Number of levels of the grouping factor."""
        return len(self.levels)

    @property
    def label(self) -> str:
        """The term as a reader would write it: ``(nn(x1, x2) | g)``."""
        return f"({self.network.label} | {self.group})"


@dataclass(frozen=True, eq=False)
class Design:
    """A formula and a data frame as arrays: all that a likelihood needs.

    Attributes
    ----------
    y
        Response, shape (n,); the number of successes if there are trials; 0 or 1 if
        the response has two labels.
    response_name
        The response as the user wrote it.
    X
        Fixed-effects matrix of full column rank, shape (n, p), in C order.
    names
        Names of the columns of ``X``: ``"Intercept"``, ``"Days"``, ``"x[T.b]"``.
    column_terms
        For each column of ``X``, the term of the formula it belongs to.
    offset
        Known part of the linear predictor, shape (n,); zeros if there is none.
    weights
        Prior (precision) weights, shape (n,); ones if there are none.
    has_weights
        Whether weights were given.
    trials
        Binomial numbers of trials, shape (n,), or None.
    random
        The random-effects terms in the order of the formula.
    rows
        Positions in the user's data of the n rows used, shape (n,).
    index
        Labels of those rows.
    missing
        Column name -> number of rows in which it is missing (only columns with any).
    n_dropped
        Number of rows left out because a value is missing.
    aliased
        Names of columns that were left out of ``X`` because they are linear
        combinations of columns to their left.
    response_levels
        The labels of a binary response that count as 0 and as 1; None if the response
        is numeric or boolean.
    networks
        The networks of the fixed part in the order of the formula.
    latent
        The networks with a latent input in the order of the formula.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "g": list("aab")})
    >>> design, spec = ngmm.build_design(ngmm.parse("y ~ x + (1 | g)"), data)
    >>> design.X.tolist(), design.names, design.n_rows
    ([[1.0, 0.0], [1.0, 1.0], [1.0, 3.0]], ('Intercept', 'x'), 3)
    >>> design.random[0].codes.tolist(), design.random[0].levels.tolist()
    ([0, 0, 1], ['a', 'b'])
    """

    y: NDArray[np.float64]
    response_name: str
    X: NDArray[np.float64]
    names: tuple[str, ...]
    column_terms: tuple[str, ...]
    offset: NDArray[np.float64]
    weights: NDArray[np.float64]
    has_weights: bool
    trials: NDArray[np.float64] | None
    random: tuple[RandomDesign, ...]
    rows: NDArray[np.int64]
    index: pd.Index
    missing: Mapping[str, int] = field(default_factory=dict)
    n_dropped: int = 0
    aliased: tuple[str, ...] = ()
    response_levels: tuple[str, str] | None = None
    networks: tuple[NetworkDesign, ...] = ()
    latent: tuple[LatentDesign, ...] = ()

    @property
    def n_rows(self) -> int:
        """Number of rows used."""
        return self.y.shape[0]


@dataclass(frozen=True, eq=False)
class NewLatent:
    """A network with a latent input for new data.

    Attributes
    ----------
    group
        Name of the grouping factor.
    codes
        Level of each row among those of the training data, -1 where it is not one.
    inputs
        What the network reads, without the latent values.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "g": list("aab")})
    >>> terms = ngmm.parse("y ~ 0 + (nn(x, hidden=()) | g)")
    >>> design, spec = ngmm.build_design(terms, data)
    >>> new = spec.apply({"x": [5.0], "g": ["c"]}).latent[0]
    >>> new.group, new.codes.tolist()
    ('g', [-1])
    """

    group: str
    codes: NDArray[np.int32]
    inputs: Inputs


@dataclass(frozen=True, eq=False)
class NewDesign:
    """The matrices of a fitted model for new data.

    Attributes
    ----------
    X
        Fixed-effects matrix with the columns of the training design, shape (n, p).
    offset
        Known part of the linear predictor, shape (n,).
    random
        The requested random-effects terms. Their ``levels`` are those of the training
        data; a code of -1 marks a level that is not among them.
    unseen
        Grouping factor -> number of rows for each label that is not among its levels.
        Only grouping factors with such labels are listed.
    unseen_codes
        For those grouping factors, the position of each row's label in ``unseen``, and
        -1 where the level is known.
    index
        Labels of the rows.
    networks
        What each network of the fixed part reads.
    latent
        The requested networks with a latent input.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "g": list("aab")})
    >>> design, spec = ngmm.build_design(ngmm.parse("y ~ x + (1 | g)"), data)
    >>> new = spec.apply({"x": [5.0, 6.0], "g": ["b", "c"]})
    >>> new.n_rows, new.random[0].codes.tolist(), new.unseen["g"].to_dict()
    (2, [1, -1], {'c': 1})
    """

    X: NDArray[np.float64]
    offset: NDArray[np.float64]
    random: tuple[RandomDesign, ...]
    unseen: Mapping[str, pd.Series]
    unseen_codes: Mapping[str, NDArray[np.intp]]
    index: pd.Index
    networks: tuple[Inputs, ...] = ()
    latent: tuple[NewLatent, ...] = ()

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.X.shape[0]
