"""Checkpoints: bit for bit, kept in pairs, damage noticed."""

import numpy as np
import pytest

from wigner_sim.checkpoint import CheckpointStore, read_checkpoint, write_checkpoint
from wigner_sim.errors import CaseError

STATE = {
    "time": 0.1 + 0.2,
    "step": 12345678901234567890,
    "stepper": {
        "history": [np.arange(6.0).reshape(2, 3).T, np.array(1j)],
        "name": "rk4 é",
        "last": None,
        "on": True,
    },
    "w": np.random.default_rng(0).standard_normal((2, 8, 8)) * 1e-300,
    "specials": np.array([np.nan, np.inf, -0.0, 5e-324]),
    "infinite": float("inf"),
    "schedules": {"fields": {"count": 3}, "phase": {}},
    "empty": np.zeros((0, 3)),
    "texts": np.array(["a", "bc"]),
    "numpy": np.float64(1 / 3),
    "complex": np.complex128(1 + 2j),
}


def assert_same(first, second):
    """Equal in structure, type and every bit."""
    if isinstance(first, dict):
        assert list(first) == list(second)
        for name in first:
            assert_same(first[name], second[name])
    elif isinstance(first, list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, np.ndarray | np.generic):
        assert np.asarray(first).dtype == np.asarray(second).dtype
        assert np.shape(first) == np.shape(second)
        assert np.asarray(first).tobytes() == np.asarray(second).tobytes()
    else:
        assert type(first) is type(second)
        assert first == second


def test_checkpoint_is_bit_for_bit(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    store.save(STATE, step=7)
    assert_same(STATE, store.load_latest())


def test_two_checkpoints_are_kept_and_the_newest_is_loaded(tmp_path):
    store = CheckpointStore(tmp_path)
    for step in (5, 10, 999_999_999, 1_000_000_000):
        store.save({"step": step}, step)
    assert [path.name for path in store.paths()] == ["checkpoint_999999999.npz", "checkpoint_1000000000.npz"]
    assert store.load_latest() == {"step": 1_000_000_000}


def test_damaged_checkpoints_are_skipped_with_a_warning(tmp_path, caplog):
    store = CheckpointStore(tmp_path)
    store.save({"step": 1, "w": np.arange(1000.0)}, 1)
    newest = store.save({"step": 2, "w": np.arange(1000.0)}, 2)
    whole = newest.read_bytes()
    (tmp_path / ".checkpoint_000000003.npz.tmp-1").write_bytes(whole[:100])  # killed while writing aside
    for n_bytes in (0, 10, 500, len(whole) // 2, len(whole) - 1):
        newest.write_bytes(whole[:n_bytes])
        caplog.clear()
        assert store.load_latest()["step"] == 1
        assert "checkpoint_000000002.npz: damaged" in caplog.text
    store.save({"step": 3}, 3)
    store.save({"step": 2}, 2)  # a run that went back: later checkpoints are not its own
    assert store.load_latest() == {"step": 2}


@pytest.mark.parametrize("place", range(60, 3000, 97))
def test_a_flipped_bit_is_noticed(tmp_path, place):
    path = tmp_path / "checkpoint_1.npz"
    write_checkpoint(path, {"w": np.arange(200.0), "name": "rk4"})
    content = bytearray(path.read_bytes())
    content[min(place, len(content) - 1)] ^= 4
    path.write_bytes(content)
    try:
        again = read_checkpoint(path)
    except CaseError:
        return
    # The bit was in a part of the container that carries no data.
    assert_same(again, {"w": np.arange(200.0), "name": "rk4"})


def test_a_changed_value_with_valid_container_is_noticed(tmp_path):
    path = tmp_path / "checkpoint_1.npz"
    write_checkpoint(path, {"w": np.arange(3.0)})
    with np.load(path) as archive:
        members = dict(archive)
    members["state/w"] = np.array([0.0, 1.0, 2.5])
    np.savez(path, **members)
    with pytest.raises(CaseError, match="wrong checksum"):
        read_checkpoint(path)


def test_no_checkpoint(tmp_path):
    with pytest.raises(CaseError, match="no checkpoint to resume from"):
        CheckpointStore(tmp_path / "absent").load_latest()


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a/b": 1}, np.array([None]), {1, 2}])
def test_what_cannot_be_stored_is_refused_and_leaves_no_file(tmp_path, value):
    with pytest.raises(TypeError, match="checkpoint"):
        write_checkpoint(tmp_path / "checkpoint_1.npz", {"bad": value})
    assert not list(tmp_path.iterdir())
