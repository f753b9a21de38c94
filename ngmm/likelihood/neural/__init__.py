"""Likelihoods of models with network terms, locally: value, slope and curvature.

At given weights a network is, to first order, its output plus its Jacobian times the
change of the weights. Every likelihood of ngmm then takes the columns of the Jacobian
beside those of X, and gives the gradient and the Gauss-Newton Hessian in the weights,
the fixed effects and the variance parameters together.
"""
