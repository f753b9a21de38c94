"""Profile likelihoods: a parameter held, the others maximised."""
