"""The kinetic equation of one band through second order in gradients."""
