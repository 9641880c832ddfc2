"""What a case chooses about the engine, and machines without numba or with a damaged cache."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from systems import relative, separable_chain, separable_plane
from tiny_cases import CHAIN, make_case

from wigner_sim import parallel, threads
from wigner_sim.errors import CaseError
from wigner_sim.kinetics import fused
from wigner_sim.kinetics.fused import FusedFlows
from wigner_sim.problem import build_problem
from wigner_sim.simulation import run
from wigner_sim.steppers import STEPPERS

pytest.importorskip("numba")


def test_without_numba_the_plain_path_serves(monkeypatch):
    monkeypatch.setattr(fused, "numba_is_usable", lambda: False)
    system = separable_chain(n=24)
    assert not system.evolution(2, split=True).in_blocks
    with pytest.raises(CaseError, match="numba"):
        system.evolution(2, split=True, remainder="stencil").equation()


def test_the_plain_path_never_imports_numba():
    code = (
        "import sys; sys.path.insert(0, 'tests'); from systems import separable_chain, STEPPERS\n"
        "e = separable_chain(n=16).evolution(2, split=True); w = separable_chain(n=16).occupation()\n"
        "w = STEPPERS['strang'].step(e, w, 0.0, 0.1); print(e.in_blocks, 'numba' in sys.modules)"
    )
    environment = {**os.environ, "WIGNER_SIM_ENGINE": "numpy"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.split() == ["False", "False"]


@pytest.mark.slow
def test_damaged_kernels_in_the_cache_are_compiled_anew(tmp_path):
    code = (
        "import sys; sys.path.insert(0, 'tests'); from systems import separable_chain, STEPPERS\n"
        "e = separable_chain(n=16).evolution(2, split=True); w = separable_chain(n=16).occupation()\n"
        "print(STEPPERS['strang'].step(e, w, 0.0, 0.1).sum())"
    )

    def outcome():
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        )

    first = outcome()
    assert not first.stderr
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[:-40])
    damaged = outcome()
    assert damaged.stdout == first.stdout
    assert "kept kernels are unusable" in damaged.stderr


def test_a_case_chooses_precision_threads_and_stencil(tmp_path):
    case = make_case(
        tmp_path, CHAIN, time__stepper="auto", time__precision="float32", equation__remainder="stencil"
    )
    problem = build_problem(case)
    assert problem.options.remainder == "stencil"
    assert problem.stepper is STEPPERS["blanes_moan4"]
    stack = problem.stack()
    w = problem.initial_density(stack)
    assert w.dtype == np.float32
    assert "float32: rounding of one step is" in problem.precision_note(stack, w, 0.1)
    assert not replace(problem, precision="float64").precision_note(stack, w, 0.1)
    later = run(case, ["time.threads=2", "monitors.particle_drift=1e-5"])
    reference = run(case, ["time.precision=float64"])
    last = [each.phase["f"].isel(time=-1).values for each in (later, reference)]
    assert 1e-9 < relative(last[0] - last[1], last[1]) < 1e-5
    with pytest.raises(CaseError, match="float32"):
        build_problem(make_case(tmp_path, time__stepper="rk4", time__precision="float32"))


def test_number_of_threads_comes_from_the_case_then_the_environment(monkeypatch):
    for module in (parallel, threads.fourier):
        monkeypatch.setattr(module, "_threads", 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads.automatic_thread_count() == 2
    monkeypatch.setenv("WIGNER_SIM_THREADS", "3")
    assert threads.set_threads("auto") == 3
    assert threads.set_threads(2) == parallel.thread_count() == threads.fourier._threads == 2
    monkeypatch.setenv("WIGNER_SIM_THREADS", "many")
    with pytest.raises(CaseError, match="WIGNER_SIM_THREADS"):
        threads.set_threads("auto")


def test_flows_have_names_only_for_what_there_is():
    flows = separable_chain(n=24).evolution(2, split=True).equation().fused
    assert flows.names == ("A", "X", "K", "B")
    assert isinstance(flows, FusedFlows)
    in_field = separable_plane(2, n_x=10, n_k=14, flux=0.1).evolution(2, split=True).equation().fused
    assert in_field.names == tuple("MAXKB")
