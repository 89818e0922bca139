"""File names are anybody's: whatever letters they are made of, none moves a terminal's cursor or forges a line."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

import npgradcam as ng
from npgradcam.cli import main

BAD = "\x1b[31mred\x1b]0;pwn\x07\n\x9b2J\u202egnp.png"
GOOD = r"\x1b[31mred\x1b]0;pwn\x07\n\x9b2J\u202egnp.png"
SMALL = ("--model", "shapes", "--backend", "numpy")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such file names there")


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    """Run the command line in a folder with a photograph of a bad name; return exit code and output."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ng.images.sample("two_shapes"), BAD)

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        for text in printed:
            assert all(c.isprintable() for c in text.replace("\n", "")), repr(text)
        return code, printed.out, printed.err

    return run


@pytest.mark.parametrize("asked", [
    ("explain", BAD, "--method", "grad-cam"), ("predict", BAD, "--top-k", "1", BAD), ("study", BAD),
    ("explain", BAD, "--method", "cam", "--out", "a\x1bb"), ("study", BAD, "-o", "a\x1bb.html"),
], ids=["explain", "predict", "study", "explain into", "study into"])
def test_a_name_is_printed_with_escapes_on_one_line(run, tmp_path, asked):
    code, out, err = run(*asked, *SMALL)
    assert (code, err) == (0, "")
    assert any(GOOD in line for line in out.splitlines())
    for page in tmp_path.glob("*.html"):
        text = page.read_text("utf-8")
        assert not any(c in text for c in "\x1b\x07\x9b\u202e")


def test_json_escapes_as_json_does_and_says_the_name_itself(run):
    code, out, _ = run("predict", BAD, *SMALL, "--json")
    assert code == 0
    assert json.loads(out)[0]["image"] == BAD


def test_what_could_not_be_read_is_named_with_escapes_and_a_folder_has_a_name(run, tmp_path):
    (tmp_path / f"no{BAD}").write_text("no picture")
    code, _, err = run("predict", f"no{BAD}", ".", "missing.jpg", *SMALL)
    assert code == 4
    assert err.splitlines()[-1] == rf"npgradcam: 3 of 3 photographs could not be read: no{GOOD}, ., missing.jpg"


def test_what_the_system_says_of_a_file_is_printed_with_escapes(run):
    code, _, err = run("predict", BAD, *SMALL, "--preprocess", "no\x1b.json")
    assert code in (2, 3)
    assert r"no\x1b.json" in err
