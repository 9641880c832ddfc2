"""Movies: frames, limits, files, metadata, failures, memory."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from synthetic_run import convergence_result, one_dimensional_run, two_dimensional_run
from xarray.backends import BackendArray
from xarray.core import indexing

import wigner_sim
from wigner_sim import movies
from wigner_sim.errors import CaseError
from wigner_sim.figures.encoders import GifEncoder
from wigner_sim.movies import MoviePicture, make_movie

POSTPROCESS = Path(__file__).parents[1] / "postprocess"


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """A quarter of the pixels in each direction: the tests look at numbers, not at beauty."""
    shrink(monkeypatch)


def shrink(patch):
    patch.setattr(movies, "WIDTH", 16 * 20 / 25)
    patch.setattr(movies, "HEIGHT", 16 * 12 / 25)
    patch.setattr(movies, "DPI", 25)


@pytest.fixture(scope="module")
def one_picture():
    """A picture that is laid out once for the tests that look at files."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        return MoviePicture(small_run(), None, None, 100)


@pytest.fixture
def ready_made(one_picture, monkeypatch):
    """Movies of :func:`small_run` without the making of its picture, which is most of their time."""
    monkeypatch.setattr(movies, "MoviePicture", lambda *_: one_picture)
    return one_picture


def small_run(**options):
    return one_dimensional_run(**({"n_times": 5, "n_x": 16, "n_k": 12} | options))


class CountingArray(BackendArray):
    """A file that remembers how much was read from it at a time."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.sizes = []

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key):
        part = self.values
        for axis in reversed(range(part.ndim)):
            part = np.take(part, np.arange(self.shape[axis])[key[axis]], axis=axis)
        self.sizes.append(part.size)
        return part


def on_file(dataset: xr.Dataset, name: str) -> CountingArray:
    """Replace a variable by a lazily read one; return the record of what is read."""
    array = dataset[name]
    counting = CountingArray(array.values)
    dataset[name] = (array.dims, indexing.LazilyIndexedArray(counting), array.attrs)
    return counting


def test_gif_has_every_frame_for_the_right_time(tmp_path):
    movie = make_movie(small_run(), tmp_path / "a.gif", fps=10, formats=["gif"])
    assert movie.files == (tmp_path / "a.gif",)
    assert movie.n_frames == 5
    assert not movie.notes
    with Image.open(movie.files[0]) as gif:
        assert gif.n_frames == 5
        for number in range(gif.n_frames):
            gif.seek(number)
            assert gif.info["duration"] == 100
        assert gif.info["loop"] == 0


def test_gif_shows_what_was_rendered(tmp_path, ready_made):
    picture = ready_made
    make_movie(small_run(), tmp_path / "a", formats=["gif"])
    with Image.open(tmp_path / "a.gif") as gif:
        for number, time in enumerate(picture.times):
            gif.seek(number)
            expected = picture.render(time).astype(int)
            assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - expected).mean() < 2.5


def test_gif_encoder_is_exact_on_colours_of_its_palette_and_keeps_equal_frames(tmp_path):
    palette = np.array([[255, 255, 255], [0, 0, 0], [200, 30, 60], [10, 90, 180]], dtype=np.uint8)
    rng = np.random.default_rng(0)
    shown = [palette[rng.integers(0, 4, (9, 13))] for _ in range(3)]
    shown.insert(1, shown[0])
    encoder = GifEncoder(tmp_path / "a.gif", 20, "a comment", palette)
    for pixels in shown:
        encoder.add(pixels)
    encoder.close()
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 4
        for number, pixels in enumerate(shown):
            gif.seek(number)
            np.testing.assert_array_equal(np.asarray(gif.convert("RGB")), pixels)


def test_limits_are_global_and_stay(tmp_path):
    run = small_run()
    run.phase["f"][dict(time=3)] *= 2.0  # the largest values are in neither the first nor the last frame
    picture = MoviePicture(run, None, None, 100)
    main, density, momentum = picture.panels
    largest = np.abs(run.phase["f"].isel(band=0)).max().item()
    seen = set()
    for time in picture.times:
        picture.render(time)
        seen.add((main.image.get_clim(), density.axes.get_ylim(), momentum.axes.get_xlim()))
        index = int(np.argmin(np.abs(run.phase["time"].values - time)))
        np.testing.assert_allclose(
            main.image.get_array()[:-1, :-1], run.phase["f"].isel(band=0, time=index).values.T
        )
        np.testing.assert_allclose(
            momentum.lines[0].get_xdata()[:-1], run.fields["momentum_distribution"].isel(band=0, time=index)
        )
        assert picture.markers[0].get_xdata()[0] == time
    assert len(seen) == 1
    np.testing.assert_allclose(seen.pop()[0], (-largest, largest))


def test_clock_title_and_layout_do_not_move():
    picture = MoviePicture(small_run(n_times=31), None, None, 100)
    boxes = set()
    for time in picture.times[::10]:
        picture.render(time)
        boxes.add(tuple(tuple(np.round(axes.get_position().bounds, 12)) for axes in picture.figure.axes))
    assert len(boxes) == 1
    assert picture.clock.get_text().startswith("$t$ = 30")
    assert picture.clock.get_text().endswith(r"$\hbar$/energy")
    assert picture.figure.get_suptitle() == "Bloch oscillation of a cat state"


def test_difference_movie_shows_the_difference_at_common_times(tmp_path):
    run, other = small_run(), small_run(fringes=0.1, run_id="run-b")
    other.phase = other.phase.isel(time=[0, 2, 4])
    picture = MoviePicture(run, other, None, 100)
    np.testing.assert_allclose(picture.times, (0, 15, 30))
    picture.render(15.0)
    delta = run.phase["f"].isel(time=2, band=0).values - other.phase["f"].isel(time=1, band=0).values
    np.testing.assert_allclose(picture.panels[0].image.get_array()[:-1, :-1], delta.T)
    low, high = picture.panels[0].image.get_clim()
    assert low == -high
    movie = make_movie(run, tmp_path / "d", other=other, formats=["gif"])
    with Image.open(movie.files[0]) as gif:
        assert b"run_id=run-a minus run-b" in gif.info["comment"]


def test_two_dimensional_run_and_other_band(tmp_path):
    run = two_dimensional_run()
    run.fields["density"][dict(band=1)] *= 3.0
    picture = MoviePicture(run, None, 1, 100)
    picture.render(0.0)
    expected = run.fields["density"].isel(band=1, time=0).values.T
    np.testing.assert_allclose(picture.panels[0].image.get_array()[:-1, :-1], expected)


def test_a_run_with_one_output_time_and_few_scalars(tmp_path):
    run = small_run(n_times=1)
    run.scalars = xr.Dataset({"energy": ("time", [1.0])}, {"time": [0.0]})
    assert make_movie(run, tmp_path / "a", formats=["gif"]).n_frames == 1
    run.fields = run.fields.drop_vars("momentum_distribution")
    with pytest.raises(CaseError, match="lacks 'momentum_distribution'"):
        make_movie(run, tmp_path / "a", formats=["gif"])


def test_evenly_spaced_frames_if_there_are_too_many(tmp_path):
    picture = MoviePicture(small_run(n_times=31), None, None, 4)
    np.testing.assert_allclose(picture.times, (0, 10, 20, 30))


def test_one_frame_at_a_time_is_read(tmp_path):
    run = small_run(n_times=6)
    counting = on_file(run.phase, "f")
    make_movie(run, tmp_path / "a", formats=["gif"])
    assert len(counting.sizes) >= 12  # a pass for the limits, a pass for the frames
    assert max(counting.sizes) == 16 * 12  # one frame of one band
    assert not run.phase["f"].variable._in_memory


def test_mp4_is_written_with_its_metadata(tmp_path, ready_made):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    movie = make_movie(small_run(), tmp_path / "a", fps=10)
    assert movie.files == (tmp_path / "a.gif", tmp_path / "a.mp4")
    n_frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(movie.files[1]))
    assert n_frames == 5
    assert seconds == pytest.approx(0.5, abs=0.05)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(movie.files[1])]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert re.search(r"comment\s*: wigner_sim .*case=ssh_bloch_oscillation; run_id=run-a", said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "a.mp4"]


def test_without_encoder_the_gif_is_written_and_a_note_says_so(tmp_path, ready_made, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    movie = make_movie(small_run(), tmp_path / "a")
    assert [path.name for path in movie.files] == ["a.gif"]
    assert movie.notes == ("no mp4 was written: it needs imageio-ffmpeg (pip install imageio-ffmpeg)",)
    assert movie.frames_directory is None


def test_frames_are_kept_if_the_encoder_fails(tmp_path, ready_made, monkeypatch):
    class Failing:
        n_frames = 0

        def __init__(self, path, *_):
            self.path = path

        def add(self, pixels):
            self.path.write_bytes(b"half a movie")
            self.n_frames += 1
            if self.n_frames == 3:
                raise OSError("broken pipe\nffmpeg said a lot more")

        def close(self):
            raise AssertionError("a failed encoder is not closed again")

        def abort(self):
            pass

    monkeypatch.setattr(movies, "Mp4Encoder", Failing)
    movie = make_movie(small_run(), tmp_path / "a")
    assert [path.name for path in movie.files] == ["a.gif"]
    assert movie.notes[0] == "writing the mp4 failed: broken pipe"
    assert movie.frames_directory == tmp_path / "a_frames"
    assert len(list(movie.frames_directory.glob("frame_*.png"))) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "a_frames"]


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # imageio-ffmpeg's unclosed pipe
def test_a_real_encoder_that_dies_is_noticed(tmp_path, ready_made, monkeypatch):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    write_frames, bad = imageio_ffmpeg.write_frames, {"codec": "no_such_codec", "ffmpeg_log_level": "quiet"}
    monkeypatch.setattr(
        imageio_ffmpeg, "write_frames", lambda *args, **options: write_frames(*args, **(options | bad))
    )
    movie = make_movie(small_run(), tmp_path / "a", formats=["mp4"])
    assert not movie.files
    assert movie.notes[0].startswith("writing the mp4 failed")
    assert len(list(movie.frames_directory.iterdir())) == 5


def test_an_interrupted_movie_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(self, time):
        raise KeyboardInterrupt

    monkeypatch.setattr(MoviePicture, "render", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_movie(small_run(), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_earlier_movies_are_kept_unless_told(tmp_path, ready_made):
    first = make_movie(small_run(), tmp_path / "a", formats=["gif"]).files
    second = make_movie(small_run(), tmp_path / "a", formats=["gif"]).files
    assert (first, second) == ((tmp_path / "a.gif",), (tmp_path / "a-1.gif",))
    assert make_movie(small_run(), tmp_path / "a", formats=["gif"], overwrite=True).files == first


def test_one_sentence_errors(tmp_path):
    with pytest.raises(CaseError, match="format 'mp3': expected gif or mp4; did you mean 'mp4'"):
        make_movie(small_run(), tmp_path / "a", formats=["mp3"])
    with pytest.raises(CaseError, match="fps > 0"):
        make_movie(small_run(), tmp_path / "a", fps=0)
    run = small_run()
    run.fields = xr.Dataset()
    with pytest.raises(CaseError, match="no 'fields' output"):
        make_movie(run, tmp_path / "a")


def call(script: str, *arguments: object, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(POSTPROCESS / script), run_name="__main__")


def test_postprocess_scripts(tmp_path, monkeypatch, capsys):
    runs = {tmp_path / "one": small_run(), tmp_path / "two": small_run(run_id="run-b")}
    monkeypatch.setattr(wigner_sim, "open_run", lambda path: runs[path], raising=False)
    one, two = runs
    call("plot_run.py", one, "--time", 0, "--suffix", "svg", monkeypatch=monkeypatch)
    call("movie.py", one, "--formats", "gif", "--max-frames", 2, monkeypatch=monkeypatch)
    call("difference_movie.py", one, two, "--formats", "gif", "--max-frames", 2, monkeypatch=monkeypatch)
    study = tmp_path / "study.json"
    study.write_text(json.dumps(convergence_result()))
    call("convergence.py", study, monkeypatch=monkeypatch)
    written = {path.name for path in one.iterdir()}
    assert written == {"evolution.svg", "geometry.svg", "movie.gif", "difference.gif", "difference.png"}
    assert (tmp_path / "study.png").exists()
    assert capsys.readouterr().out.count("\n") == 6
    with pytest.raises(SystemExit, match="2"):
        call("plot_run.py", one, "--band", 9, monkeypatch=monkeypatch)
    assert "it has bands 0, 1" in capsys.readouterr().err
