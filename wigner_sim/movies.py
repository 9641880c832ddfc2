"""Movies of a run, or of the difference of two: phase space, density, momentum distribution, drifts.

The figure is made once; each frame updates its artists, is rendered into a buffer and handed to the encoders.
Limits are fixed over the whole movie in a first pass over the file.  One frame is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from wigner_sim.errors import CaseError
from wigner_sim.figures import frames
from wigner_sim.figures.encoders import Encoder, GifEncoder, Mp4Encoder, Pixels
from wigner_sim.figures.frames import FloatArray, FrameSeries, Run
from wigner_sim.figures.movie_panels import (
    chosen_series,
    layout,
    times_of,
    usual_layout,
    usual_series,
)
from wigner_sim.figures.of_runs import plot_drifts, plot_largest_difference
from wigner_sim.figures.overlays import overlays_of
from wigner_sim.figures.packets import COLOURS as PACKET_COLOURS
from wigner_sim.figures.panels import COLOURS, STYLE, ImagePanel, Panel, TimePanel, new_figure, panel
from wigner_sim.figures.quantities import DatasetRun
from wigner_sim.figures.saving import free_path, provenance_text

FORMATS = ("gif", "mp4")

#: 1280 x 720 pixels: both are multiples of 16, as H.264 likes.
WIDTH, HEIGHT, DPI = 12.8, 7.2, 100


@dataclass(frozen=True)
class Movie:
    """What :func:`make_movie` wrote.

    Parameters
    ----------
    files : tuple of Path
        The movies.
    n_frames : int
    notes : tuple of str
        One sentence for each thing asked for that could not be done.
    frames_directory : Path or None
        PNG frames, kept if an encoder failed.
    """

    files: tuple[Path, ...]
    n_frames: int
    notes: tuple[str, ...] = ()
    frames_directory: Path | None = None


def make_movie(
    run: Run,
    path: str | Path,
    *,
    other: Run | None = None,
    quantity: str | None = None,
    panels: Sequence[str] = (),
    band: int | str | None = None,
    fps: float = 20,
    max_frames: int = 300,
    formats: Sequence[str] = FORMATS,
    overwrite: bool = False,
) -> Movie:
    """Write a movie of one band of a run.

    Parameters
    ----------
    run : Run
        What ``wigner_sim.open_run`` returns.
    path : path
        Where to, with or without suffix: ``movie`` gives ``movie.gif`` and ``movie.mp4``.  If a file
        exists and ``overwrite`` is False, the next free name (``movie-1.gif``, ...) is used.
    other : Run, optional
        Show ``run`` minus ``other`` (same grid, at the output times they share).
    quantity : str, optional
        Main picture: any stored variable, such as ``"energy_density"`` or ``"f(kx, ky; x=3)"`` (shown axes,
        and where others are cut; what is not mentioned is averaged over).
    panels : sequence of str, optional
        Show these quantities instead of the usual four panels; ``"drift"`` stands for the drifts of what
        is conserved, ``"current"`` for the density with arrows, ``"state"`` for the stored f, w or c.
    band : optional
        Value of the band coordinate; the first band if left out.
    fps : float
        Frames per second.
    max_frames : int
        Of more output times than this, evenly spaced ones are shown.
    formats : subset of {"gif", "mp4"}
        mp4 needs the package imageio-ffmpeg; without it a note says so.

    Returns
    -------
    Movie
        Files, number of frames, notes.

    Raises
    ------
    CaseError
        If the run lacks the output or the band, if two runs do not match, or for an unknown format.
    """
    _check_formats(formats, fps, max_frames)
    base = Path(path)
    base = base.with_suffix("") if base.suffix.lower().lstrip(".") in FORMATS else base
    base.parent.mkdir(parents=True, exist_ok=True)
    picture = MoviePicture(run, other, band, max_frames, quantity, panels)
    files = MovieFiles(base, picture, fps, formats, overwrite=overwrite)
    try:
        for time in picture.times:
            files.add(picture.render(time))
        files.close()
    finally:
        files.discard_drafts()
    directory, notes = None, list(files.notes)
    if files.failed:
        directory = _keep_frames(picture, base)
        command = f"ffmpeg -framerate {fps:g} -i {directory}/frame_%05d.png -pix_fmt yuv420p {base}.mp4"
        notes.append(f"the frames are kept in {directory}; to join them: {command}")
    return Movie(tuple(files.written), len(picture.times), tuple(notes), directory)


def animate_dataset(
    dataset: xr.Dataset, path: str | Path, quantity: str | None = None, **options: Any
) -> Movie:
    """Write a movie of one quantity of a Dataset.

    Parameters
    ----------
    dataset : Dataset
        A stream of a run, or a part of one, with ``time``.
    path : path
    quantity : str, optional
        As in :func:`make_movie`; the state, the density or the first variable if left out.
    **options
        Further options of :func:`make_movie`.
    """
    source = DatasetRun(dataset)
    return make_movie(source, path, panels=[quantity or source.usual_quantity()], **options)


class MoviePicture:
    """The figure of a movie, drawn once, with artists that :meth:`render` updates.

    Parameters
    ----------
    run, other, band, max_frames, quantity, panels
        As in :func:`make_movie`.

    Attributes
    ----------
    times : array
        Times of the frames.
    panels : list
        Main image, density, momentum distribution; or those asked for.
    """

    @mpl.rc_context(STYLE)
    def __init__(
        self,
        run: Run,
        other: Run | None,
        band: int | str | None,
        max_frames: int,
        quantity: str | None = None,
        panels: Sequence[str] = (),
    ):
        self.about = frames.provenance(run) if other is None else frames.joint_provenance(run, other)
        self.figure = new_figure(self.about, WIDTH, HEIGHT, dpi=DPI)
        self.canvas = FigureCanvasAgg(self.figure)
        if panels:
            series, axes = chosen_series(run, other, band, panels), layout(self.figure, len(panels))
        else:
            series, axes = usual_series(run, other, band, quantity), usual_layout(self.figure)
        shown = [(where, each) for where, each in zip(axes, series, strict=True) if each is not None]
        main = shown[0][1]
        self.times = _thinned(times_of(main), max_frames)
        # the usual momentum distribution stands beside the phase space whose axis it shares
        beside = None if panels else axes[2]
        self.panels = [self._panel(where, each, where is beside) for where, each in shown]
        self._add_colour_bars()
        self.markers: list[Line2D] = []
        for where, each in zip(axes, series, strict=True):
            if each is None:
                if other is None:
                    plot_drifts(where, run, band)
                else:
                    plot_largest_difference(where, main, self.times)
                self.markers.append(where.axvline(self.times[0], color="0.35", linewidth=1.5))
        images = [each for each in self.panels if isinstance(each, ImagePanel) and other is None]
        self.overlays = [o for each in images for o in overlays_of(run, each, band, self.times)]
        self.figure.suptitle(frames.heading(self.about))
        self.time_format = frames.time_format(self.times)
        self.time_units = frames.unit_text(frames.units_of("time", main.array))
        self.clock = axes[0].set_title("", loc="left")
        self._fix_layout()

    def _panel(self, axes: Axes, series: FrameSeries, upright: bool) -> Panel:
        """Panel for a quantity, with limits over the whole movie."""
        if not series.dims:
            return TimePanel(axes, series, self.times)
        options = {"upright": upright} if len(series.dims) == 1 else {}
        return panel(axes, series, series.extrema(self.times), **options)

    def _add_colour_bars(self) -> None:
        for each in self.panels:
            if isinstance(each, ImagePanel):
                self.figure.colorbar(
                    each.image, ax=each.axes, label=each.series.label, extend=each.scale.extend, pad=0.02
                )

    def _fix_layout(self) -> None:
        """Lay out once with the first frame in place, so that nothing moves afterwards."""
        self._update(self.times[0])
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")

    def _update(self, time: float) -> None:
        for each in self.panels:
            each.show(time)
        for overlay in self.overlays:
            overlay.show(time)
        for marker in self.markers:
            marker.set_xdata([time, time])
        # Figure spaces are as wide as digits: the clock does not jitter.
        value = self.time_format.format(time).replace(" ", "\N{FIGURE SPACE}")
        self.clock.set_text(f"$t$ = {value} {self.time_units}")

    @mpl.rc_context(STYLE)
    def render(self, time: float) -> Pixels:
        """Pixels (height, width, 3) of the frame nearest to ``time``."""
        self._update(time)
        self.canvas.draw()
        return np.array(self.canvas.buffer_rgba())[..., :3]

    def palette(self) -> Pixels:
        """Colours of the movie, (256, 3): the colour maps, greys for the text, and shades of the lines."""
        maps = {each.scale.cmap: each.image.cmap for each in self.panels if isinstance(each, ImagePanel)}
        per_map = 176 // max(len(maps), 1)
        colours = [cmap(np.linspace(0, 1, per_map))[:, :3] for cmap in maps.values()]
        greys = np.linspace(0, 1, 32)[:, None] * np.ones(3)
        packets = np.array([to_rgb(colour) for colour in PACKET_COLOURS.values()])
        shades = np.linspace(0, 1, 22, endpoint=False)[:, None]
        lines = [shades + (1 - shades) * np.array(to_rgb(colour)) for colour in COLOURS[:2]]
        everything = np.concatenate([*colours, greys, packets, *lines])
        return np.round(255 * everything[:256]).astype(np.uint8)


def _thinned(times: FloatArray, max_frames: int) -> FloatArray:
    """At most ``max_frames`` of the times, evenly spaced, ends included."""
    if len(times) <= max_frames:
        return times
    return times[np.round(np.linspace(0, len(times) - 1, max_frames)).astype(int)]


def _check_formats(formats: Sequence[str], fps: float, max_frames: int) -> None:
    for name in formats:
        if name not in FORMATS:
            near = get_close_matches(name, FORMATS, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise CaseError(f"unknown movie format '{name}': expected {' or '.join(FORMATS)}{hint}")
    if fps <= 0 or max_frames < 1:
        raise CaseError(f"a movie needs fps > 0 and max_frames >= 1, got {fps} and {max_frames}")


# ---------------------------------------------------------------- files


class MovieFiles:
    """The files of one movie, each fed by its own encoder; one that fails does not stop the others.

    Every encoder writes a hidden draft beside the final name, so that no half movie is ever left there.

    Attributes
    ----------
    written : list of Path
    notes : list of str
        What could not be written, and why.
    failed : bool
        Whether an encoder that had started gave up.
    """

    def __init__(
        self, base: Path, picture: MoviePicture, fps: float, formats: Sequence[str], *, overwrite: bool
    ):
        self.written: list[Path] = []
        self.notes: list[str] = []
        self.failed = False
        self.targets: dict[str, tuple[Encoder, Path, Path]] = {}
        for name in dict.fromkeys(formats):
            final = free_path(base.with_name(f"{base.name}.{name}"), overwrite=overwrite)
            draft = final.with_name(f".{final.stem}.part.{name}")
            try:
                self.targets[name] = (_encoder(name, draft, picture, fps), draft, final)
            except ImportError:
                self.notes.append("no mp4 was written: it needs imageio-ffmpeg (pip install imageio-ffmpeg)")

    def add(self, pixels: Pixels) -> None:
        """Hand a frame to every encoder that is still well."""
        for name, (encoder, _, _) in list(self.targets.items()):
            try:
                encoder.add(pixels)
            except Exception as error:  # broken pipe, full disk, missing codec: each encoder has its own ways
                self._give_up(name, error)

    def close(self) -> None:
        """Complete each file and give it its final name."""
        for name, (encoder, draft, final) in list(self.targets.items()):
            try:
                encoder.close()
                draft.replace(final)
            except Exception as error:
                self._give_up(name, error)
            else:
                self.written.append(final)
                del self.targets[name]

    def discard_drafts(self) -> None:
        """Remove what was not completed."""
        for encoder, draft, _ in self.targets.values():
            encoder.abort()
            draft.unlink(missing_ok=True)
        self.targets.clear()

    def _give_up(self, name: str, error: Exception) -> None:
        encoder, draft, _ = self.targets.pop(name)
        encoder.abort()
        draft.unlink(missing_ok=True)
        reason = str(error).strip().split("\n", maxsplit=1)[0] or type(error).__name__
        self.notes.append(f"writing the {name} failed: {reason}")
        self.failed = True


def _encoder(name: str, path: Path, picture: MoviePicture, fps: float) -> Encoder:
    comment = provenance_text(picture.about)
    if name == "gif":
        return GifEncoder(path, fps, comment, picture.palette())
    return Mp4Encoder(path, fps, comment, picture.about["title"])


def _keep_frames(picture: MoviePicture, base: Path) -> Path:
    """Render the movie once more, into numbered PNG files in a new directory."""
    directory = free_path(base.with_name(f"{base.name}_frames"))
    directory.mkdir()
    about = PngInfo()
    about.add_text("Comment", provenance_text(picture.about))
    for number, time in enumerate(picture.times):
        Image.fromarray(picture.render(time)).save(directory / f"frame_{number:05d}.png", pnginfo=about)
    return directory
