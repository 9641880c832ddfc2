"""A band's part of a matrix symbol, ``pi * F * pi``, with the Moyal projector to the order kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wigner_sim.matrix_moyal.parts import MomentumPart
from wigner_sim.symbols import Array, Symbol, adjoint, star_term


@dataclass(frozen=True)
class StarProjection:
    r"""Star products with ``pi = P + pi_1 + ... + pi_m``, each through order m in gradients.

    Parameters
    ----------
    pi : sequence of Symbol
        By order.
    exact : (MomentumPart, array), optional
        Where P depends on k alone: what multiplies by functions of k exactly, and ``P(k + q/2)``.

    Notes
    -----
    docs/theory.md sections 3 and 4.
    """

    pi: Sequence[Symbol]
    exact: tuple[MomentumPart, Array] | None = None

    def left(self, f: Array) -> Array:
        """``pi * F``, shape (n, n, *x, *k)."""
        symbol = self.pi[0].space.symbol(f)
        parts = [star_term(pi_i, symbol, n) for pi_i, n in self._expanded()]
        if self.exact is not None:
            parts.append(self.exact[0].star_left(self.exact[1], f))
        return sum(parts[1:], start=parts[0])

    def right(self, f: Array) -> Array:
        """``F * pi``."""
        symbol = self.pi[0].space.symbol(f)
        parts = [star_term(symbol, pi_i, n) for pi_i, n in self._expanded()]
        if self.exact is not None:
            parts.append(self.exact[0].star_right(f, self.exact[1]))
        return sum(parts[1:], start=parts[0])

    def block(self, half: Array) -> Array:
        """``pi * F * pi`` from ``pi * F``, Hermitian."""
        whole = self.right(half)
        return 0.5 * (whole + adjoint(whole))

    def _expanded(self) -> list[tuple[Symbol, int]]:
        """Orders of pi, and of the star product, whose sum is kept."""
        order = len(self.pi) - 1
        first = 0 if self.exact is None else 1
        return [(self.pi[i], n) for i in range(first, order + 1) for n in range(order + 1 - i)]
