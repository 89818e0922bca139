"""What every method returns: a frozen record of read-only arrays that knows how to be shown and saved."""

from __future__ import annotations

import io
import os
import re
from base64 import b64encode
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgradcam import maps
from npgradcam.errors import NotWrittenError, NpGradcamError, OutputExistsError, TargetError
from npgradcam.images import Preprocess
from npgradcam.models import Labels
from npgradcam.typing import Array, IntArray
from npgradcam.writing import not_written, whole_file

Picture = NDArray[np.uint8]
SHOWN = 8  # rows in a notebook


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Explanation:
    """What was explained: R rows, one for each image and class.

    Attributes
    ----------
    method : str
    output : str
        The node that is the score: the logits before a last Softmax unless `score="output"` was asked for.
    logits : ndarray of shape (N, classes)
    target : ndarray of int, shape (R,), or None
        The class of each row; None where a seed was given.
    image : ndarray of int, shape (R,)
        Which of the N images each row explains.
    preprocessing, labels
        The model's, where a model was explained.
    """

    method: str
    output: str
    logits: Array
    target: IntArray | None
    image: IntArray
    preprocessing: Preprocess | None = None
    labels: Labels | None = None

    def __post_init__(self) -> None:
        self.__setstate__(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Hold every array read-only, in a copy of the record as well."""
        for name, value in dict(state).items():
            if isinstance(value, np.ndarray):
                value = value.view()
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Return R, the number of rows."""
        return len(self.image)

    def __repr__(self) -> str:
        """Return one line: the method, the rows, the layer or the rule, and the shape of every array."""
        said = [f"{len(self)} row{'s' * (len(self) != 1)}"]
        said += [f"{name} {getattr(self, name)!r}" for name in ("layer", "rule") if hasattr(self, name)]
        said += [f"{name} {value.shape}" for name, value in vars(self).items() if isinstance(value, np.ndarray)]
        return f"{type(self).__name__}({self.method!r}, {', '.join(said)})"

    def check_row(self, row: int) -> None:
        """Refuse a row that is not there."""
        if not isinstance(row, (int, np.integer)) or not 0 <= row < len(self):
            raise TargetError(f"row: expected a number from 0 to {len(self) - 1}, got {row}")

    def label(self, row: int = 0) -> str:
        """Return what row `row` explains, in words."""
        self.check_row(row)
        if self.target is None:
            return "seed"
        index = int(self.target[row])
        return self.labels.name(index) if self.labels else str(index)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about degenerate rows; empty where there is nothing to say."""
        return tuple(note for note in map(self.note, range(len(self))) if note)

    def note(self, row: int = 0) -> str:
        """Return a sentence where a row is degenerate, else nothing."""
        self.check_row(row)
        return ""

    def picture(self, row: int = 0) -> Picture:
        """Return row `row` alone as a picture, uint8 (H, W, 3)."""
        raise NotImplementedError

    def array(self, row: int = 0) -> Array:
        """Return the array that `save` writes for a row."""
        raise NotImplementedError

    def shown(self, image: Any, row: int = 0) -> Picture:
        """Return row `row` as one would look at it beside the photograph."""
        return self.picture(row)

    def name(self, row: int = 0, layer: str | None = None) -> str:
        """Return a file name for a row, without its ending, of [a-z0-9_-]: method, layer if given, class and label."""
        label = slug(self.label(row))
        of_layer = f"{slug(layer)}_" if layer else ""
        of_image = f"image{self.image[row]}_" if len(self.logits) > 1 else ""
        target = "" if self.target is None else f"{self.target[row]}_"
        return f"{self.method}_{of_layer}{of_image}{target}{label}"

    def save(self, directory: str | os.PathLike[str], image: Any = None, *, overwrite: bool = False) -> list[Path]:
        """Write a picture (.png) and an array (.npy) for every row.

        Parameters
        ----------
        directory : path
            Made where it is missing; "." is the folder one is in.
        image : Prepared, path, bytes, PIL image or uint8 array, optional
            The photograph, so that maps are drawn over it.
        overwrite : bool

        Returns
        -------
        list of Path

        Raises
        ------
        OutputExistsError
            If a file is there already; nothing is written then.
        NotWrittenError
            If the directory cannot be made or written to, or has no name.
        """
        if not os.fspath(directory):
            raise NotWrittenError("save: expected a directory, got an empty name; '.' is the folder one is in")
        folder = Path(directory)
        names = [folder / f"{self.name(row)}{ending}" for row in range(len(self)) for ending in (".png", ".npy")]
        try:
            there = [path for path in names if path.exists()]
            if there and not overwrite:
                raise OutputExistsError(f"{there[0]} exists; choose another directory, or overwrite=True")
            if folder.exists() and not folder.is_dir():
                raise OutputExistsError(f"{folder} is a file; choose another directory")
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if isinstance(error, NpGradcamError):
                raise
            raise not_written(folder, error, "choose another directory") from error
        for row in range(len(self)):
            shown = self.picture(row) if image is None else self.shown(image, row)
            maps.save_png(names[2 * row], shown)
            write_npy(names[2 * row + 1], self.array(row))
        return names

    def _repr_png_(self) -> bytes:
        """Show all rows side by side in a notebook."""
        return _png(np.concatenate([self.picture(row) for row in range(len(self))], axis=1))

    def _repr_html_(self) -> str:
        """Show each row in a notebook, at most eight of them: its picture, its class, and what to know of it."""
        shown = range(min(len(self), SHOWN))
        figures = "".join(
            f'<figure style="display:inline-block;margin:0 1em 0 0"><img width="168" style="image-rendering:pixelated" '
            f'alt="{escape(self.method)}" src="data:image/png;base64,{b64encode(_png(self.picture(row))).decode()}">'
            f"<figcaption>{escape(self.label(row))}<br>{escape(self.method)}"
            f"{' of ' + escape(self.layer) if hasattr(self, 'layer') else ''}</figcaption></figure>" for row in shown
        )
        rest = f"<p>{len(self) - SHOWN} more rows</p>" if len(self) > SHOWN else ""
        return f"<div>{figures}{rest}{''.join(f'<p>{escape(note)}</p>' for note in self.notes)}</div>"


def _png(picture: Picture) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def slug(text: str) -> str:
    """Return text as part of a file name: [a-z0-9-], at most 40 characters.

    Examples
    --------
    >>> slug("Egyptian cat"), slug("../é")
    ('egyptian-cat', 'x')
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "x"


def write_npy(path: Path, array: Array) -> None:
    """Write one array, whole or not at all."""
    with whole_file(path) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
