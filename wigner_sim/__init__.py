"""wigner_sim: electrons in crystals in phase space, to second order in gradients."""

__version__ = "0.1.0"
