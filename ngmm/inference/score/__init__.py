"""Score tests of networks: random weights as a Gaussian process."""
