"""Uncertainty: profile likelihood, bootstrap, cluster-robust covariance."""

from __future__ import annotations

from ngmm.intervals.bootstrap import bootstrap
from ngmm.intervals.dispatch import conf_int
from ngmm.intervals.profile import profile
from ngmm.intervals.robust import cluster_covariance

__all__ = ["bootstrap", "cluster_covariance", "conf_int", "profile"]
