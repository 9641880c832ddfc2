"""Wannier90 files written by hand, for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LATTICE = np.array([[2.0, 0.1, 0.0], [0.3, 1.7, 0.0], [0.0, 0.2, 5.0]])
TAU = np.array([[0.0, 0.0, 0.0], [0.35, 0.2, 0.5]])

#: Two orbitals, three cells, degeneracy 2 at R = +-a_1; H_12(a_1) = (0.4 - 0.2i)/2 after division.
TB = """ by hand
  2.0 0.1 0.0
  0.3 1.7 0.0
  0.0 0.2 5.0
           2
           3
    2    1    2

   -1    0    0
    1    1    0.2  0.0
    2    1    0.4  0.2
    1    2    0.0  0.0
    2    2    0.0  0.0

    0    0    0
    1    1    1.0  0.0
    2    1    0.3 -0.1
    1    2    0.3  0.1
    2    2   -1.0  0.0

    1    0    0
    1    1    0.2  0.0
    2    1    0.0  0.0
    1    2    0.4 -0.2
    2    2    0.0  0.0

   -1    0    0
    1    1    0.0 0.0 0.0 0.0 0.0 0.0
    2    1    0.0 0.0 0.0 0.0 0.0 0.0
    1    2    0.0 0.0 0.0 0.0 0.0 0.0
    2    2    0.0 0.0 0.0 0.0 0.0 0.0

    0    0    0
    1    1    0.0 0.0 0.0 0.0 0.0 0.0
    2    1    0.05 0.0 0.0 0.0 0.0 0.0
    1    2    0.05 0.0 0.0 0.0 0.0 0.0
    2    2    0.76 0.0 0.475 0.0 2.5 0.0

    1    0    0
    1    1    0.0 0.0 0.0 0.0 0.0 0.0
    2    1    0.0 0.0 0.0 0.0 0.0 0.0
    1    2    0.0 0.0 0.0 0.0 0.0 0.0
    2    2    0.0 0.0 0.0 0.0 0.0 0.0
"""
HR = """ by hand
           2
           3
    2    1    2
   -1    0    0    1    1    0.2  0.0
   -1    0    0    2    1    0.4  0.2
   -1    0    0    1    2    0.0  0.0
   -1    0    0    2    2    0.0  0.0
    0    0    0    1    1    1.0  0.0
    0    0    0    2    1    0.3 -0.1
    0    0    0    1    2    0.3  0.1
    0    0    0    2    2   -1.0  0.0
    1    0    0    1    1    0.2  0.0
    1    0    0    2    1    0.0  0.0
    1    0    0    1    2    0.4 -0.2
    1    0    0    2    2    0.0  0.0
"""
XYZ = """3
 Wannier centres
X 0.0 0.0 0.0
X 0.76 0.475 2.5
C 0.1 0.1 0.1
"""
WIN = """num_wann = 2
! a comment
Begin Unit_Cell_Cart
Ang
 2.0 0.1 0.0   ! a_1
 0.3 1.7 0.0
 0.0 0.2 5.0
End Unit_Cell_Cart
"""


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path
