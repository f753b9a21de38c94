"""Neural random effects: a latent vector of each level, read by a network."""
