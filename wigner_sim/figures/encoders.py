"""Encoders that turn a stream of RGB frames into a GIF or an mp4 file, one frame in memory at a time."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops
from PIL.GifImagePlugin import getdata, getheader

Pixels = NDArray[np.uint8]


class EncodingError(Exception):
    """A movie file could not be written completely."""


class Encoder(Protocol):
    """Takes frames of one size, (height, width, 3), one after the other; :meth:`close` completes the file."""

    def add(self, pixels: Pixels) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
    def abort(self) -> None: ...  # noqa: D102


class GifEncoder:
    """Animated GIF, written frame by frame through Pillow with one palette for the whole movie.

    Parameters
    ----------
    path : path
    fps : float
        GIF counts in hundredths of a second: the nearest duration is taken, at least 20 ms, which is the
        shortest that browsers honour.
    comment : str
        Comment block of the file.
    palette : array (n_colours, 3) of uint8, at most 256 colours

    Notes
    -----
    Pillow's own ``save_all`` keeps every frame until the end; here each frame goes to the file at once,
    and of each only the rectangle that changed.
    """

    def __init__(self, path: Path, fps: float, comment: str, palette: Pixels):
        self.duration = max(2, round(100 / fps)) * 10
        self.comment = comment
        self.palette = Image.new("P", (1, 1))
        self.palette.putpalette(np.ascontiguousarray(palette, dtype=np.uint8).tobytes())
        self.previous: Image.Image | None = None
        self.file: BinaryIO = path.open("wb")

    def add(self, pixels: Pixels) -> None:
        """Append a frame."""
        frame = Image.fromarray(pixels).quantize(palette=self.palette, dither=Image.Dither.NONE)
        if self.previous is None:
            header, _ = getheader(frame.copy(), info={"loop": 0, "comment": self.comment})
            self.file.write(b"".join(header))
            box = (0, 0, *frame.size)
        else:
            # An unchanged frame still needs its duration: one pixel stands for it.
            changed = ImageChops.difference(_indices(frame), _indices(self.previous)).getbbox()
            box = changed or (0, 0, 1, 1)
        for block in getdata(frame.crop(box), box[:2], duration=self.duration):
            self.file.write(block)
        self.previous = frame

    def close(self) -> None:
        """Complete the file."""
        self.file.write(b";")
        self.file.close()

    def abort(self) -> None:
        """Give up; what was written so far is not a movie."""
        self.file.close()


class Mp4Encoder:
    """H.264 in mp4, through the ffmpeg program that the package imageio-ffmpeg brings along.

    Parameters
    ----------
    path : path
    fps : float
    comment, title : str
        Metadata of the file.

    Raises
    ------
    ImportError
        If imageio-ffmpeg is not installed.
    """

    def __init__(self, path: Path, fps: float, comment: str, title: str):
        import imageio_ffmpeg

        self.ffmpeg = imageio_ffmpeg
        self.path, self.fps = path, fps
        self.options = [
            "-movflags",
            "+faststart",
            "-metadata",
            f"comment={comment}",
            "-metadata",
            f"title={title}",
        ]
        self.n_frames = 0
        self.pipe: Generator[None, Any, None] | None = None

    def add(self, pixels: Pixels) -> None:
        """Append a frame."""
        if self.pipe is None:
            self.pipe = self.ffmpeg.write_frames(
                str(self.path),
                (pixels.shape[1], pixels.shape[0]),
                fps=self.fps,
                quality=7,
                ffmpeg_log_level="error",
                output_params=self.options,
            )
            self.pipe.send(None)
        self.pipe.send(np.ascontiguousarray(pixels))
        self.n_frames += 1

    def close(self) -> None:
        """Complete the file and count its frames: ffmpeg's own exit status is not to be had here."""
        self.abort()
        written, _ = self.ffmpeg.count_frames_and_secs(str(self.path))
        if written != self.n_frames:
            raise EncodingError(f"{written} of {self.n_frames} frames arrived in the mp4 file")

    def abort(self) -> None:
        """Stop ffmpeg."""
        if self.pipe is not None:
            self.pipe.close()


def _indices(image: Image.Image) -> Image.Image:
    """Palette indices as a greyscale image, for comparing."""
    return Image.frombytes("L", image.size, image.tobytes())
