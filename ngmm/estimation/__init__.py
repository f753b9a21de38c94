"""Optimisers that know only a function from parameters to a number."""
