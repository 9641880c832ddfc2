"""Frequency and damping of density waves against the Lindhard function of the same bands; draws figure.png.

python cases/zero_sound/figure.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import brentq, curve_fit

import wigner_sim
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator

CASE = Path(__file__).parent
LENGTH, MU, TEMPERATURE = 96.0, -1.2, 0.08
MODES = (1, 2, 4, 6)
PLASMA = ("mean_field.kind=poisson", "mean_field.strength=0.06")
SOUND = ("mean_field.kind=contact", "mean_field.strength=2.0")
#: Fewer and slower electrons, whose velocities reach that of the wave.
DAMPED_MU, DAMPED_MODE, DAMPED_STRENGTHS = -1.5, 3, (0.15, 0.5)


# --- the Lindhard function, from the Bloch Hamiltonian alone ---


def bands(k):
    """Energies (2, k) and cell-periodic parts (k, 2, 2) in the gauge of the orbitals' positions 0 and 1/2."""
    off_diagonal = np.exp(0.5j * k) + 0.6 * np.exp(-0.5j * k)
    h = np.zeros((len(k), 2, 2), dtype=complex)
    h[:, 0, 0], h[:, 1, 1], h[:, 0, 1], h[:, 1, 0] = 0.6, -0.6, off_diagonal, off_diagonal.conj()
    energies, states = np.linalg.eigh(h)
    return energies.T, states


def transitions(q, n_k=4096, mu=MU, temperature=TEMPERATURE):
    """Energies and weights ``(f_n - f_m) |<m|n>|^2`` of transitions from k - q/2 to k + q/2, by bands."""
    k = 2 * np.pi * np.arange(n_k) / n_k
    (e_1, u_1), (e_2, u_2) = bands(k - q / 2), bands(k + q / 2)
    overlap = np.abs(np.einsum("kom,kon->kmn", u_2.conj(), u_1)) ** 2
    f_1, f_2 = (1 / (np.exp((e[0] - mu) / temperature) + 1) for e in (e_1, e_2))
    inside = e_2[0] - e_1[0], (f_1 - f_2) * overlap[:, 0, 0]
    up = e_2[1] - e_1[0], f_1 * overlap[:, 1, 0]
    down = e_2[0] - e_1[1], -f_2 * overlap[:, 0, 1]
    return inside, up, down


def lindhard(q, frequency):
    """``chi(q, omega)``, the density per potential, outside of the particle-hole continuum."""
    return sum(np.mean(weight / (frequency - energy)) for energy, weight in transitions(q))


def kernel(q, kind, strength):
    """Interaction K_q."""
    return strength if kind == "contact" else strength / q**2


def continuum(q):
    """Largest frequency of a particle-hole pair."""
    return transitions(q)[0][0].max()


def mode_frequency(q, kind, strength):
    """Root of ``1 = K_q chi(q, omega)`` above the continuum."""
    return brentq(lambda w: 1 - kernel(q, kind, strength) * lindhard(q, w), 1.0005 * continuum(q), 1.5)


def response(q, times, strength, mu=MU):
    """Density wave of a contact interaction in linear response, by Volterra's equation in time.

    ``n(t) = n_free(t) + K int_0^t chi(t - t') n(t') dt' + K chi_inter n(t)``; the other band follows at once.
    """
    (energy, weight), up, down = transitions(q, 1024, mu)
    chi_inter = sum(np.mean(-w / e) for e, w in (up, down))
    phases = np.exp(-1j * np.multiply.outer(times, energy))
    chi = (-1j * (phases * weight).mean(axis=1)).real
    start = np.where(energy == 0, 0.0, weight / np.where(energy == 0, 1.0, energy))
    free = (phases * start).mean(axis=1).real
    step, n = times[1] - times[0], np.zeros(len(times))
    for i in range(len(times)):
        memory = step * (chi[i:0:-1] @ n[:i] - 0.5 * chi[i] * n[0]) if i else 0.0
        n[i] = (free[i] + strength * memory) / (1 - strength * (chi_inter + 0.5 * step * chi[0] * (i > 0)))
    return n / n[0]


# --- the kinetic equation ---


def density_wave(mode, *overrides, every=1.0, mu=MU):
    """Times and the amplitude of ``n(x)`` at a wave number, from a run of the case."""
    wave = f'initial_state.mu="{mu} + 0.01*cos(2*pi*{mode}*x/L)"'
    problem = build_problem(wigner_sim.load_case(CASE).with_overrides([wave, *overrides]))
    stack = problem.stack()
    propagator = Propagator(stack, problem.stepper, problem.initial_density(stack), every / 2)
    times = np.arange(0.0, problem.duration + 0.5 * every, every)
    amplitudes = []
    for time in times:
        n = stack.mean_field.density(propagator.advance_to(time))
        amplitudes.append(2 * np.fft.rfft(n)[mode].real / len(n))
    return times, np.array(amplitudes)


def fit(times, signal, guess, skipped=0.35):
    """Frequency and damping of the late part of a signal."""

    def wave(t, a, b, frequency, damping):
        return np.exp(-damping * t) * (a * np.cos(frequency * t) + b * np.sin(frequency * t))

    late = times >= skipped * times[-1]
    scale = np.abs(signal[late]).max()
    found, _ = curve_fit(wave, times[late], signal[late] / scale, p0=(1.0, 0.1, guess, 1e-3), maxfev=20000)
    return found[2], found[3]


def damped(strength, *overrides, end=160.0):
    """Times, the kinetic density wave and that of linear response, each over its first value."""
    setting = ("mean_field.kind=contact", f"mean_field.strength={strength}", f"time.end={end}")
    times, signal = density_wave(DAMPED_MODE, *setting, *overrides, mu=DAMPED_MU)
    finer = np.linspace(0, times[-1], 4 * (len(times) - 1) + 1)
    expected = response(2 * np.pi * DAMPED_MODE / LENGTH, finer, strength, DAMPED_MU)[::4]
    return times, signal / signal[0], expected


def main():
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    fine = 2 * np.pi * np.linspace(0.4, 6.6, 40) / LENGTH
    left.fill_between(fine, [continuum(q) for q in fine], color="0.9", label="particle-hole pairs")
    for name, setting, color in (("zero sound", SOUND, "C0"), ("plasma", PLASMA, "C1")):
        kind, strength = setting[0].split("=")[1], float(setting[1].split("=")[1])
        left.plot(
            fine, [mode_frequency(q, kind, strength) for q in fine], color=color, label=f"{name}, Lindhard"
        )
        for mode in MODES:
            q = 2 * np.pi * mode / LENGTH
            expected = mode_frequency(q, kind, strength)
            end = max(60.0, 8 * 2 * np.pi / expected)
            frequency, _ = fit(*density_wave(mode, *setting, f"time.end={end}"), expected)
            left.plot(
                q, frequency, "o", mfc="none", color=color, label=f"{name}, kinetic" if mode == 1 else None
            )
            print(f"{name} q = {q:.4f}: omega {frequency:.5f}, Lindhard {expected:.5f}", flush=True)
    left.set(xlabel="$q$", ylabel=r"$\omega$", xlim=(0, fine[-1]), ylim=(0, None))
    left.legend(fontsize=8)
    for strength, color in zip(DAMPED_STRENGTHS, ("C2", "C3"), strict=True):
        times, signal, expected = damped(strength)
        right.plot(times, expected, color="0.5", label="linear response" if color == "C2" else None)
        right.plot(times[::2], signal[::2], ".", color=color, label=f"kinetic, strength {strength:g}")
        difference = np.abs(signal - expected).max()
        print(f"strength {strength}: largest difference from linear response {difference:.1e}")
    right.set(xlabel="$t$", ylabel="$n_q(t)/n_q(0)$", title="Landau damping", xlim=(0, times[-1]))
    right.legend(fontsize=9)
    figure.savefig(CASE / "figure.png", dpi=100, metadata={"Software": "wigner_sim"})


if __name__ == "__main__":
    main()
