"""The records that a file may hold: nothing else is ever made from one.

A class is found by its name in this list, never by importing what a file names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ngmm.covariance import Pattern
from ngmm.design import (
    Design,
    DesignSpec,
    LatentDesign,
    NetworkDesign,
    RandomDesign,
)
from ngmm.design.coding import Coding
from ngmm.design.columns import ColumnSpec
from ngmm.design.grouping import Grouping
from ngmm.design.network_inputs import ArrayInput, FactorInput, NumericInput
from ngmm.design.network_terms import LatentSpec, NetworkSpec
from ngmm.design.plain import PlainMatrix
from ngmm.design.random_terms import RandomSpec
from ngmm.estimation.adversary import Adversary
from ngmm.estimation.estimators import Newton
from ngmm.estimation.evidence import Evidence
from ngmm.estimation.joint import Joint
from ngmm.estimation.separation import Separation
from ngmm.estimation.status import Status
from ngmm.estimation.stochastic import Stochastic
from ngmm.formula import ModelFormula, NetworkTerm, RandomTerm, Response
from ngmm.inference.modes import Posterior
from ngmm.inference.verdict import Message, Verdict
from ngmm.inference.wald.kenward_roger import AdjustedCoefficients
from ngmm.likelihood.arrangement import Arrangement, Place
from ngmm.likelihood.coupling import FullCoupling, SparseCoupling
from ngmm.likelihood.elimination import Elimination, System
from ngmm.likelihood.estimates import GaussianEstimate, GeneralizedEstimate
from ngmm.likelihood.gaussian import Profile
from ngmm.likelihood.integral import Integral
from ngmm.likelihood.latent.data import Cells, LatentRows
from ngmm.likelihood.latent.engine import LatentEngine, LatentProblem
from ngmm.likelihood.latent.estimate import LatentEstimate, LevelNodes
from ngmm.likelihood.latent.placement import LatentPlacing
from ngmm.likelihood.latent.sums import WeightShape
from ngmm.likelihood.layout import DenseFactor, Layout
from ngmm.likelihood.neural.terms import Stack
from ngmm.likelihood.nodes import Grid
from ngmm.likelihood.problem import GaussianProblem
from ngmm.likelihood.rules import (
    AdaptiveQuadrature,
    Auto,
    Laplace,
    TruncatedQuadrature,
)
from ngmm.likelihood.standardise import GroupedColumns, Standardised
from ngmm.model import Model
from ngmm.networks import CNN, MLP, Autoencoder, Inputs
from ngmm.networks.latent import Centred, LatentMLP
from ngmm.neural.fitting import NeuralEstimator
from ngmm.neural.latent import LatentEstimator
from ngmm.neural.record import FittedNetworks, Member, Units
from ngmm.persistence.withheld import Withheld
from ngmm.training.history import History
from ngmm.training.joint.opponent import Faced
from ngmm.training.joint.own import Modulation

__all__ = ["CLASSES", "ENUMS", "field_names"]

_FORMULA = (ModelFormula, NetworkTerm, RandomTerm, Response)
_DESIGN = (Design, Inputs, LatentDesign, NetworkDesign, RandomDesign)
_SPEC = (
    ArrayInput,
    Coding,
    ColumnSpec,
    DesignSpec,
    FactorInput,
    Grouping,
    LatentSpec,
    NetworkSpec,
    NumericInput,
    PlainMatrix,
    RandomSpec,
)
_MODEL = (AdaptiveQuadrature, Auto, Laplace, Model, TruncatedQuadrature)
_ESTIMATE = (GaussianEstimate, GeneralizedEstimate, Integral, Profile, Separation)
_LATENT = (
    Cells,
    Grid,
    LatentEngine,
    LatentEstimate,
    LatentPlacing,
    LatentProblem,
    LatentRows,
    WeightShape,
)
_NEURAL = (Faced, FittedNetworks, History, Member, Modulation, Stack, Units)
_NETWORKS = (Autoencoder, CNN, Centred, LatentMLP, MLP)
_ESTIMATORS = (
    Adversary,
    Evidence,
    Joint,
    LatentEstimator,
    NeuralEstimator,
    Newton,
    Stochastic,
)
# What is kept of the rows when the data are not.
_WITHOUT_ROWS = (
    AdjustedCoefficients,
    Arrangement,
    DenseFactor,
    Elimination,
    FullCoupling,
    GaussianProblem,
    GroupedColumns,
    Layout,
    LevelNodes,
    Message,
    Pattern,
    Place,
    Posterior,
    SparseCoupling,
    Standardised,
    System,
    Verdict,
    Withheld,
)

CLASSES: Mapping[str, type[Any]] = MappingProxyType(
    {
        cls.__name__: cls
        for group in (
            _FORMULA,
            _DESIGN,
            _SPEC,
            _MODEL,
            _ESTIMATE,
            _LATENT,
            _NEURAL,
            _NETWORKS,
            _ESTIMATORS,
            _WITHOUT_ROWS,
        )
        for cls in group
    }
)

ENUMS: Mapping[str, type[Status]] = MappingProxyType({"Status": Status})


def field_names(cls: type[Any]) -> tuple[str, ...]:
    """Return the fields of a record, a dataclass or a named tuple."""
    if dataclasses.is_dataclass(cls):
        return tuple(f.name for f in dataclasses.fields(cls))
    return tuple(cls._fields)
