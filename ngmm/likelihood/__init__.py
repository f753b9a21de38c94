"""Marginal likelihoods: the random effects integrated out."""
