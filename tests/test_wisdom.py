"""Measured plans: what FFTW learned is kept for the user and with the run; bad files do no harm."""

import numpy as np
import pyfftw
import pytest
from tiny_cases import TEXTURE, assert_identical, make_case, stored

from wigner_sim import fourier, wisdom
from wigner_sim.simulation import resume, run

SHAPE = (6, 10, 14)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache directory of one's own, and a process that knows nothing, also afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    yield
    fourier.set_planner(measured=False)
    forget()


def forget():
    pyfftw.forget_wisdom()
    pyfftw.interfaces.cache.disable()
    fourier.enable_plan_cache()


def learn_something():
    fourier.set_planner(measured=True)
    fourier.fftn(np.ones(SHAPE, complex), (0, 1, 2))


def is_known():
    """Whether FFTW could do the transform above without trying anything out."""
    arrays = [pyfftw.empty_aligned(SHAPE, complex) for _ in range(2)]
    try:
        pyfftw.FFTW(*arrays, axes=(0, 1, 2), flags=("FFTW_WISDOM_ONLY", "FFTW_MEASURE"))
    except RuntimeError:
        return False
    return True


def test_what_was_learned_is_there_in_the_next_process():
    assert not is_known()
    learn_something()
    assert is_known()
    wisdom.keep()
    forget()
    assert not is_known()
    assert wisdom.recall()
    assert is_known()
    assert [path.name for path in wisdom.wisdom_path().parent.iterdir()] == [wisdom.wisdom_path().name]


def test_nothing_is_kept_of_estimated_plans():
    fourier.set_planner(measured=False)
    wisdom.keep()
    assert not wisdom.wisdom_path().exists()


def test_what_others_kept_meanwhile_is_not_lost():
    learn_something()
    wisdom.keep()
    forget()
    fourier.fftn(np.ones((4, 9), complex), (0, 1))
    wisdom.keep()
    forget()
    wisdom.recall()
    assert is_known()


@pytest.mark.parametrize("damage", ["cut", "changed", "other machine", "binary", "empty"])
def test_a_damaged_or_foreign_file_is_ignored(damage):
    learn_something()
    wisdom.keep()
    path = wisdom.wisdom_path()
    text = path.read_text()
    changes = {
        "cut": text[: len(text) // 2],
        "changed": text[:-30] + "1" + text[-29:],
        "other machine": text.replace("threads", "strands", 1),
        "binary": None,
        "empty": "",
    }
    path.write_bytes(b"\xff\x00\xfe" * 100) if changes[damage] is None else path.write_text(changes[damage])
    forget()
    assert not wisdom.recall()
    assert not is_known()
    learn_something()
    wisdom.keep()  # and replaced
    forget()
    assert wisdom.recall()


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    learn_something()
    wisdom.keep()
    assert not wisdom.recall()


def test_the_file_depends_on_the_machine_and_the_threads(monkeypatch):
    paths = {wisdom.wisdom_path()}
    monkeypatch.setattr(wisdom, "thread_count", lambda: 7)
    paths.add(wisdom.wisdom_path())
    monkeypatch.setattr(wisdom, "_processor", lambda: "another one")
    paths.add(wisdom.wisdom_path())
    monkeypatch.setattr(fourier, "library", lambda: "FFTW 4")
    paths.add(wisdom.wisdom_path())
    assert len(paths) == 4


def test_nonsense_is_not_learned():
    assert not fourier.learn("nonsense")
    assert not fourier.learn("nonsense" + fourier._SEPARATOR + "more")


def test_a_run_is_resumed_with_its_own_wisdom(tmp_path):
    """Also where the user's cache is lost: what another process would find out must not change a bit."""
    given = {"time__transforms": "measured", "time__step": 0.05, "output__checkpoint_every": {"steps": 4}}
    given |= {"output__fields_every": 0.25, "output__phase_every": 0.25}
    whole = run(make_case(tmp_path / "long", TEXTURE, time__end=1.0, **given))
    short = run(make_case(tmp_path / "short", TEXTURE, time__end=0.5, **given))
    learned = set(fourier.wisdom().splitlines())
    assert wisdom.wisdom_path().exists()
    wisdom.wisdom_path().unlink()
    forget()
    checkpoint = short.directory.checkpoints.load_latest()
    assert set(checkpoint["wisdom"].splitlines()) == learned
    learn_something()  # what is found out now does not replace it
    extended = resume(tmp_path / "short", until=1.0)
    assert learned < set(fourier.wisdom().splitlines())
    ours, theirs = stored(whole), stored(extended)
    ours.pop("scalars.predicted_error"), theirs.pop("scalars.predicted_error")
    assert_identical(ours, theirs)


def test_a_run_that_does_not_ask_for_it_carries_none(tmp_path):
    done = run(make_case(tmp_path / "a", TEXTURE, time__end=0.1))
    assert "wisdom" not in done.directory.checkpoints.load_latest()
    assert not wisdom.wisdom_path().exists()
