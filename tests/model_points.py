"""Hamiltonians at scattered points of phase space, for the tests of models."""

import numpy as np

LENGTHS = (24.0, 18.0, 20.0)


def points(s, d, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(s, 5, 1)) * np.reshape(LENGTHS[:s], (-1, 1, 1))
    return x, rng.uniform(-np.pi, np.pi, size=(d, 1, 6))


def same(first, second, d=1, s=1):
    x, k = points(s, d)
    np.testing.assert_allclose(first.matrix(x, k, 0.4), second.matrix(x, k, 0.4), atol=1e-13)
