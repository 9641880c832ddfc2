r"""The rate of f by star products alone, at any order: what a kinetic equation of lower order leaves out.

With the Moyal projector ``pi`` of a band, ``F = pi * c * pi`` and ``f = tr F``,

.. math:: \partial_t f = -i\,\mathrm{tr}\,[H, F]_* - F_i\,\partial_{k_i} f

(F_i a uniform force), expanded like everything else.  c follows from f order by order.  Nothing of the
kinetic equation enters; against it, this is the residual of a given order on a given state.

Source: docs/theory.md sections 3, 4 and 8.
"""

from __future__ import annotations

import numpy as np

from wigner_sim.kinetics.effective_band import Drive, central_difference
from wigner_sim.projector import LocalBands, moyal_projector
from wigner_sim.symbols import Array, FloatArray, Symbol, star_product, star_product_at, trace


class ExactRate:
    """Rate of f of one band at one time, through ``order`` in gradients.

    Parameters
    ----------
    drive : Drive
        Hamiltonian and force; ``difference_step`` 0 if nothing depends on time.
    t : float, time
    band : int
    order : int
        As of the kinetic equation: the rate holds orders 1 to ``order + 1`` in eps.

    Notes
    -----
    The projector is made once; each state then costs about ``order**2`` star products of matrices.
    """

    def __init__(self, drive: Drive, t: float, band: int, order: int):
        self._order = order
        self._hamiltonian = drive.matrix_at(t)
        self._force = drive.force_at(t)
        self._pi = driven_projector(drive, t, band, order)

    def __call__(self, f: FloatArray) -> FloatArray:
        """``d_t f``, shape (*x, *k)."""
        space, order = self._hamiltonian.space, self._order
        whole = self._state(f)
        rate = np.zeros(f.shape)
        for m in range(1, order + 2):  # F * H is the adjoint of H * F
            rate += 2 * trace(star_product_at([self._hamiltonian], whole, m)).imag
        for i, force in enumerate(self._force):
            if force:
                rate -= force * space.symbol(f).derivative(space.grid.n_position_axes + i)
        return rate

    def _state(self, f: FloatArray) -> list[Symbol]:
        """``F = pi * c * pi`` by orders, with c such that its trace is f."""
        space, order = self._hamiltonian.space, self._order
        whole = [np.zeros_like(self._pi[0].values) for _ in range(order + 1)]
        for m in range(order + 1):
            # c_m takes from the trace what lower orders of c have put there
            c = f if m == 0 else -trace(whole[m]).real
            left = star_product(self._pi, [space.symbol(c)], order - m)
            for n in range(order - m + 1):
                whole[m + n] = whole[m + n] + star_product_at(left, self._pi, n)
        return [space.symbol(values) for values in whole]


def driven_projector(drive: Drive, t: float, band: int, order: int) -> list[Symbol]:
    """Moyal projector at any order under drive and force, ``[H, pi]_* = i D_t pi``, ``D_t = d_t + F . d_k``.

    Explicit time derivatives are central differences, which reach two steps to either side for each order.
    """
    step = drive.difference_step
    reach = 2 * order if step else 0
    symbols = {j: drive.matrix_at(t + j * step) for j in range(-reach, reach + 1)}
    bands = {j: LocalBands.of(symbol.values) for j, symbol in symbols.items()}
    group = range(band, band + 1)
    moving = bool(step) or bool(np.any(drive.force_at(t)))
    rates: dict[int, list[Array]] = {j: [] for j in symbols}
    pi = {j: moyal_projector(symbols[j], bands[j], group, 0)[0].values for j in symbols}
    for m in range(order if moving else 0):
        inner = [j for j in symbols if abs(j) <= reach - 2 * (m + 1)] if step else [0]
        for j in inner:
            rates[j].append(_convective(drive, t, pi, j, symbols[0]))
        pi = {j: moyal_projector(symbols[j], bands[j], group, m + 1, rates[j])[m + 1].values for j in inner}
    return moyal_projector(symbols[0], bands[0], group, order, rates[0])


def _convective(drive: Drive, t: float, values: dict[int, Array], j: int, like: Symbol) -> Array:
    step, symbol = drive.difference_step, like.space.symbol(values[j])
    rate = central_difference(values, j, step) if step else np.zeros_like(values[j])
    for i, force in enumerate(drive.force_at(t + j * step)):
        if force:
            rate = rate + force * symbol.derivative(like.space.grid.n_position_axes + i)
    return rate
