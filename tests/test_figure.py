"""The figure: pictures arrive in it pixel by pixel, in rows and columns, and every text fits in its place."""

import numpy as np
import pytest
from PIL import Image

from npgradcam.colours import BLUE_WHITE_RED, GREY, TURBO
from npgradcam.errors import ImageError, ShapeError
from npgradcam.figure import MOST, Cell, colour_bar, grid
from npgradcam.lettering import Lettering
from npgradcam.maps import save_png

RNG = np.random.default_rng(0)
RANDOM = [RNG.integers(0, 200, (100, 100, 3), dtype=np.uint8) for _ in range(5)]


def places(page, picture):
    """Return every (row, column) at which the picture is on the page, unscaled."""
    height, width = picture.shape[:2]
    found = np.argwhere((page == picture[0, 0]).all(axis=2)).tolist()
    return [(r, c) for r, c in found if np.array_equal(page[r : r + height, c : c + width], picture)]


def test_pictures_stand_in_rows_and_columns_beside_the_photograph():
    cells = [[Cell(RANDOM[0], TURBO, 1.0), Cell(RANDOM[1])], [Cell(RANDOM[2]), Cell(RANDOM[3])]]
    page = grid(cells, ["CAM", "Grad-CAM"], ["cat", "dog"], RANDOM[4], side=100)
    assert page.dtype == np.uint8
    (a,), (b,), (c,), (d,), (photograph,) = (places(page, picture) for picture in RANDOM)
    assert a[0] == b[0] == photograph[0] < c[0] == d[0]
    assert photograph[1] + 100 < a[1] == c[1]
    assert a[1] + 100 < b[1] == d[1]
    assert (page[:8] == 255).all()  # margins
    assert (page[-8:] == 255).all()
    assert (page[:, :8] == 255).all()
    assert (page[:, -8:] == 255).all()


def test_more_rows_than_are_easily_compared_stand_in_two_blocks_side_by_side():
    many = [RNG.integers(0, 200, (60, 100, 3), dtype=np.uint8) for _ in range(MOST + 1)]
    cells = [[Cell(picture, TURBO, 1.0) if n % 2 else Cell(picture)] for n, picture in enumerate(many)]
    labels = [f"method {n}" for n in range(MOST + 1)]
    page = grid(cells, labels, ["cat"], RANDOM[4], side=100)
    at = [places(page, picture) for picture in many]
    assert [len(found) for found in at] == [1] * len(many)
    rows, columns = zip(*(found[0] for found in at), strict=True)
    half = (MOST + 2) // 2
    assert len(set(columns)) == 2
    assert columns[half - 1] + 100 < columns[half]
    for block in (rows[:half], rows[half:]):
        assert block[0] == rows[0]
        assert np.diff(block).min() > 60
    assert (page[-8:] == 255).all()  # margins
    assert (page[:, -8:] == 255).all()
    alone = grid(cells[:MOST], labels[:MOST], ["cat"], RANDOM[4], side=100)
    assert alone.shape[0] > page.shape[0]
    assert alone.shape[1] < page.shape[1]


def test_without_a_photograph_the_page_is_smaller():
    cells = [[Cell(RANDOM[0])]]
    with_one, without = (grid(cells, ["a"], ["b"], p, side=100) for p in (RANDOM[1], None))
    assert without.shape[1] < with_one.shape[1] - 100
    assert places(without, RANDOM[0])


def test_a_text_stands_where_a_method_does_not_apply():
    cells = [["not applicable: the head is not pooling and one linear layer"], [Cell(RANDOM[0])]]
    page = grid(cells, ["CAM", "Grad-CAM"], ["cat"], side=100)
    ((row, column),) = places(page, RANDOM[0])
    box = page[row - 100 - 100 // 11 : row - 100 // 11, column : column + 100]
    assert len(np.unique(box[2:-2, 2:-2].reshape(-1, 3), axis=0)) > 5  # letters in shades of grey
    assert (box[2:8, 2:-2] == box[2, 2]).all()  # with room around them
    assert (box[-8:-2, 2:-2] == box[2, 2]).all()


LABELS = ["word " * 100, "w" * 100_000, "", "猫 chat à poil ras → ∞", "two\nlines\tand a tab", "x\u0301\x00\u200b"]


@pytest.mark.parametrize("label", LABELS)
def test_any_label_fits(label):
    short = grid([[Cell(RANDOM[0])]], ["a"], ["b"], RANDOM[1], "t", "c", side=100)
    page = grid([[Cell(RANDOM[0])]], [label], [label], RANDOM[1], label, label, side=100)
    assert page.shape[1] <= short.shape[1] + 70
    assert page.shape[0] <= short.shape[0] + 250
    assert places(page, RANDOM[0])
    assert (page[:, -8:] == 255).all()


def test_pictures_keep_their_shape():
    wide = np.zeros((30, 90, 3), np.uint8)
    page = grid([[Cell(wide)]], ["a"], ["b"], side=180)
    assert places(page, np.zeros((60, 180, 3), np.uint8))
    two = 200 * np.eye(2, dtype=np.uint8)[:, :, None].repeat(3, axis=2)
    squares = grid([[Cell(two)]], ["a"], ["b"], side=64)
    assert places(squares, two.repeat(32, axis=0).repeat(32, axis=1))
    grid([[Cell(np.zeros((1, 5000, 3), np.uint8))]], ["a"], ["b"], np.zeros((5000, 1, 3), np.uint8))


def test_the_same_figure_twice_is_the_same():
    cells = [[Cell(RANDOM[0], GREY, 0.25)]]
    np.testing.assert_array_equal(grid(cells, ["a"], ["b"]), grid(cells, ["a"], ["b"]))


def test_what_does_not_fit_together_is_refused():
    cell = Cell(RANDOM[0])
    for arguments in (([[cell]], ["a", "b"], ["c"]), ([[cell], []], ["a", "b"], ["c"]), ([], [], [])):
        with pytest.raises(ShapeError, match="label every row and column"):
            grid(*arguments)
    with pytest.raises(ShapeError, match="colourise"):
        grid([[Cell(RANDOM[0][:, :, 0])]], ["a"], ["b"])
    with pytest.raises(ImageError, match="TrueType"):
        grid([[cell]], ["a"], ["b"], font=__file__)


# -------------------------------------------------------------------------------------------------------- colour bars


@pytest.mark.parametrize("table", [TURBO, BLUE_WHITE_RED, GREY])
def test_a_colour_bar_runs_through_its_table(table):
    bar = colour_bar(table, 2.5, width=len(table.rgb))
    np.testing.assert_array_equal(bar[3, 1:-1], table.rgb[1:-1])
    assert (bar[10:] < 200).any()  # numbers


def test_the_bar_of_a_zero_map_has_one_colour():
    assert (colour_bar(GREY, 0.0)[3, 1:-1] == 128).all()
    assert (colour_bar(BLUE_WHITE_RED, 0.0)[3, 1:-1] == 255).all()
    assert (colour_bar(TURBO, 0.0)[3, 1:-1] == TURBO.rgb[0]).all()


@pytest.mark.parametrize("scale", [-1.0, np.nan, np.inf])
def test_a_bar_without_a_scale_is_refused(scale):
    with pytest.raises(ImageError, match="scale"):
        colour_bar(TURBO, scale)


# ---------------------------------------------------------------------------------------------------------- lettering


TEXTS = ["one two three four five six", "Donaudampfschifffahrtsgesellschaft", "a " * 60, "iiii WWWW", "", "|" * 999]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", [3, 30, 60, 200])
@pytest.mark.parametrize("lines", [1, 2, 5])
def test_lines_fit_and_nothing_is_lost_silently(text, width, lines):
    letters = Lettering(14)
    fitted = letters.fit(text, width, lines)
    assert len(fitted) <= lines
    for line in fitted:
        assert letters.width(line) <= width or len(line) == 1 or line == "..."
    together = "".join(fitted).replace(" ", "")
    whole = text.replace(" ", "")
    assert together == whole or (together.endswith("...") and whole.startswith(together[:-3]))


def test_letters_that_the_typeface_lacks():
    letters = Lettering(14)
    assert letters.drawable("Grad-CAM 0.5 (tabby)") == "Grad-CAM 0.5 (tabby)"
    assert letters.drawable("café Ångström") == "cafe Angstrom"
    assert letters.drawable("\u2212 \u2192 \u2264") == "- -> <="
    assert letters.drawable("猫\n") == "? "


# ------------------------------------------------------------------------------------------------------------ save_png


def test_save_png_keeps_every_pixel_and_the_same_bytes(tmp_path):
    for picture in (RANDOM[0], RANDOM[0][:, :, 0], np.dstack([RANDOM[0], RANDOM[1][:, :, 0]])):
        save_png(tmp_path / "a.png", picture)
        save_png(str(tmp_path / "b.png"), picture)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_failure_while_saving_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    save_png(path, RANDOM[0])
    before = path.read_bytes()

    def half(image, file, *arguments, **options):
        file.write(b"half a picture")
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(OSError, match="no space"):
        save_png(path, RANDOM[1])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_what_is_not_a_picture_is_not_saved(tmp_path):
    for wrong in (RANDOM[0] / 255, np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2, 3), np.uint8)):
        with pytest.raises(ShapeError, match="colourise"):
            save_png(tmp_path / "a.png", wrong)
    assert not list(tmp_path.iterdir())
