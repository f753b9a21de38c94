"""Tests from estimates and their covariance: F, t and Wald."""
