"""Work shared out among threads, and arrays that begin at a cache line."""

import threading
import time

import numpy as np
import pytest

from wigner_sim import aligned, parallel
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS


@pytest.fixture
def use_threads(monkeypatch):
    return lambda count: monkeypatch.setattr(parallel, "_threads", count)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("n_items", [0, 1, 2, 7, 144, 1000])
def test_every_item_is_worked_on_once(count, n_items, use_threads):
    use_threads(count)
    done = np.zeros(n_items, dtype=int)

    def work(first, last):
        done[first:last] += 1

    parallel.share_out(work, n_items)
    assert np.all(done == 1)


def test_pieces_become_smaller_towards_the_end():
    sizes = [last - first for first, last in parallel._pieces(1600, 2)]
    assert sum(sizes) == 1600
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 1600 // 8
    assert sizes[-2] == 1600 // 32


def test_a_thread_that_is_held_up_leaves_the_rest_to_the_others(use_threads):
    use_threads(2)
    taken, n_left, rest_is_done = [], [100], threading.Event()

    def work(first, last):
        taken.append((first, threading.get_ident()))
        n_left[0] -= last - first
        if first == 0:
            assert rest_is_done.wait(timeout=30)
        elif n_left[0] == 0:
            rest_is_done.set()

    parallel.share_out(work, 100)
    held_up = dict(taken)[0]
    assert [first for first, thread in taken if thread == held_up] == [0]


def test_an_error_comes_back_when_nobody_works_any_more(use_threads):
    use_threads(2)
    at_work = []

    def work(first, last):
        if first == 0:
            raise ValueError("the first piece")
        at_work.append(first)
        time.sleep(0.01)
        at_work.pop()

    for _ in range(2):
        with pytest.raises(ValueError, match="the first piece"):
            parallel.share_out(work, 50)
        assert not at_work
    assert not parallel.in_shared_work()


def test_inside_of_a_piece_nothing_is_shared(use_threads):
    use_threads(2)
    inner = []

    def work(first, last):
        assert parallel.in_shared_work()
        here = threading.get_ident()
        parallel.share_out(lambda a, b: inner.append((a, b, threading.get_ident() == here)), 10)

    parallel.share_out(work, 8)
    assert set(inner) == {(0, 10, True)}
    assert not parallel.in_shared_work()


@pytest.mark.parametrize("kind", [np.float64, np.float32, complex])
def test_aligned_arrays_begin_at_a_cache_line(kind):
    values = np.arange(105).reshape(3, 5, 7).astype(kind)[:, ::-1]
    copied = aligned.copy(values)
    assert copied.ctypes.data % aligned.LINE == 0
    assert copied.flags.c_contiguous
    assert copied.dtype == values.dtype
    np.testing.assert_array_equal(copied, values)


class _Still:
    """An equation that is stepped in place and does nothing."""

    flows = ()

    def compose(self, u, t, dt, schedule, out=None):
        return u

    def rhs(self, u, t):
        return 0 * u

    def spectral_radius(self, t):
        return 0.0


def test_a_state_stepped_in_place_begins_at_a_cache_line():
    stepped = [Propagator(_Still(), STEPPERS["strang"], np.zeros(100), 0.1) for _ in range(8)]
    for each in stepped:
        each.advance(1.0)
        assert each.w.ctypes.data % aligned.LINE == 0
        each.restore({**each.state(), "w": np.ones(100)})
        each.advance(1.0)
        assert each.w.ctypes.data % aligned.LINE == 0
        assert np.all(each.w == 1)
