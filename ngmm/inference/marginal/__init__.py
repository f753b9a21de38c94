"""Means and variances over the random effects."""
