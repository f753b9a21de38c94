"""What differs between the groups of a fit."""

from __future__ import annotations

from ngmm.clusters.boundaries import boundaries
from ngmm.clusters.counterfactuals import Counterfactuals, counterfactuals
from ngmm.clusters.effects import ClusterEffects, effects
from ngmm.clusters.importance import importance
from ngmm.clusters.latent import latent_scores
from ngmm.clusters.probes import with_probes
from ngmm.clusters.reconstruction import reconstruct
from ngmm.clusters.surfaces import Boundaries
from ngmm.clusters.variation import variation

__all__ = [
    "Boundaries",
    "ClusterEffects",
    "Counterfactuals",
    "boundaries",
    "counterfactuals",
    "effects",
    "importance",
    "latent_scores",
    "reconstruct",
    "variation",
    "with_probes",
]
