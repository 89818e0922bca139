"""What every notebook here draws and checks with: pictures in a row, numbers in cells, and two kinds of sentence."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams.update({"figure.dpi": 100, "font.size": 9, "axes.titlesize": 9, "axes.spines.top": False,
                     "axes.spines.right": False})


def show(*pictures, titles=(), size=2.6, limit=None, columns=None):
    """Draw pictures in rows: uint8 as it is, numbers without a sign from dark to light, signed ones blue-white-red.

    Parameters
    ----------
    *pictures : ndarray of shape (H, W, 3), uint8, or (H, W)
    titles : sequence of str
        One above each picture.
    size : float
        Of one picture, in inches.
    limit : float, optional
        The number that has the last colour; each picture's largest magnitude where nothing is said.
    columns : int, optional
        How many pictures a row has; all of them where nothing is said.
    """
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    tallest = max(np.shape(picture)[0] / np.shape(picture)[1] for picture in pictures)
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, (size * tallest + 0.1) * rows),
                                squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, picture, title in zip(axes.flat, pictures, [*titles, *[""] * len(pictures)], strict=False):
        picture = np.asarray(picture)
        ax.set_title(title)
        if picture.ndim == 3:
            ax.imshow(picture, interpolation="nearest" if len(picture) < 100 else None)
            continue
        top = float(np.abs(picture).max() if limit is None else limit) or 1.0
        signed = picture.min() < 0
        drawn = ax.imshow(picture, "RdBu_r" if signed else "viridis", vmin=-top if signed else 0, vmax=top,
                          interpolation="nearest")
        bar = figure.colorbar(drawn, ax=ax, shrink=0.75, ticks=[-top, 0, top] if signed else [0, top])
        bar.ax.set_yticklabels([f"{tick:.3g}" for tick in bar.get_ticks()], fontsize=7)
    plt.show()


def cells(*tables, titles=(), marks=(), form="{:g}", size=0.42):
    """Draw small tables with a number in every cell, and a frame around some of them.

    Parameters
    ----------
    *tables : ndarray of shape (I, J)
    titles : sequence of str
    marks : sequence of (top, left, height, width) or None
        A frame in each table.
    form : str
        How a number is written.
    size : float
        Of one cell, in inches.
    """
    tables = [np.atleast_2d(table) for table in tables]
    widths = [table.shape[1] for table in tables]
    inches = (size * (sum(widths) + 1.2 * len(tables)), size * max(map(len, tables)) + 0.4)
    _, axes = plt.subplots(1, len(tables), figsize=inches, squeeze=False, width_ratios=widths, layout="constrained")
    for n, (ax, table) in enumerate(zip(axes[0], tables, strict=True)):
        top = np.abs(table).max() or 1
        ax.imshow(table, "RdBu_r", vmin=-1.8 * top, vmax=1.8 * top)  # pale, so that the numbers stay readable
        for (i, j), value in np.ndenumerate(table):
            text = form.format(value)
            ax.text(j, i, text if float(text) else "0", ha="center", va="center", fontsize=8)
        ax.set_axis_off()
        ax.set_title(titles[n] if n < len(titles) else "")
        if n < len(marks) and marks[n]:
            i, j, height, width = marks[n]
            ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), width, height, fill=False, linewidth=2.5, clip_on=False))
    plt.show()


SAYS = {
    "same": "{what}: the same numbers.",
    "close": "{what}: they agree to {apart:.0e}.",
    "missing": "Exercise {number}: put your answer in place of the three dots. Hint: {hint}",
    "shape": "Exercise {number}: not yet, its shape is {got} and not {wanted}. Hint: {hint}",
    "wrong": "Exercise {number}: not yet. Hint: {hint}",
    "right": "Exercise {number}: right.",
    "answer": "Answer {number}",
    "value": "    it is {value}",
}
ASKED = {}  # what each exercise of the notebook asked for, and how nearly


def difference(a, b):
    """Return the largest difference of two arrays, relative to the largest magnitude in either."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise AssertionError(f"expected two arrays of one shape, got {a.shape} and {b.shape}")
    largest = max(np.abs(a).max(), np.abs(b).max())
    return float(np.abs(a - b).max() / largest) if largest else 0.0


def agree(what, a, b, within=1e-12):
    """Say how nearly two arrays agree; raise where they differ by more than `within` of their largest magnitude."""
    apart = difference(a, b)
    if not apart <= within:
        raise AssertionError(f"{what}: they differ by {apart:.1e} of the largest number, {within:.0e} is allowed")
    print(SAYS["close" if apart else "same"].format(what=what, apart=apart))


def exercise(number, mine, truth, hint, within=1e-6):
    """Say whether an answer is right; while it is still `...`, only that it is missing."""
    ASKED[number] = truth, within
    got, wanted = np.shape(mine), np.shape(truth)
    if mine is ...:
        verdict = "missing"
    elif got != wanted:
        verdict = "shape"
    else:
        verdict = "right" if difference(mine, truth) <= within else "wrong"
    print(SAYS[verdict].format(number=number, hint=hint, got=got, wanted=wanted))


def answer(number, value):
    """Hold the notebook's own answer against what its exercise asks for, and say it."""
    truth, within = ASKED[number]
    agree(SAYS["answer"].format(number=number), value, truth, within)
    if np.size(value) <= 8:
        print(SAYS["value"].format(value=np.array2string(np.asarray(value), precision=4)))
