"""What the command line refuses at once, in one sentence, before a model is read or a number computed."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest

import npgradcam as ng
from npgradcam.cli import main
from npgradcam.cli.parser import build_parser
from npgradcam.errors import NoFolderError, NotWrittenError, NpGradcamError
from npgradcam.study.saved import save
from npgradcam.writing import expect_writable

SMALL = ("--model", "shapes", "--backend", "numpy")
LONG = "a" * 300


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command line in a folder with a photograph; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "-dash.png", "고양이.png"):
        shutil.copy(ng.images.sample("two_shapes"), tmp_path / name)
    (tmp_path / "folder").mkdir()

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def nothing_is_read(*arguments, **named):
    raise AssertionError("a model was read before the question was looked at")


AT_ONCE = {
    "study a.png -o nowhere/x.html": "no folder nowhere to write into",
    "study a.png -o a.png/x.html": "no folder a.png to write into",
    "study a.png --npz nowhere/x.npz": "no folder nowhere to write into",
    f"study a.png -o {LONG}": "choose another place",
    "study a.png -o /proc/x.html": "choose another place",
    "study a.png -o": "expected one argument",
    "study a.png -o x --npz x": "expected two files, got x for --out and --npz",
    "study a.png --budget 0": "expected a number above 0, got '0'",
    "study a.png --budget nan": "expected a number above 0, got 'nan'",
    "study a.png --budget -1": "expected a number above 0, got '-1'",
    "study a.png --budget inf": "expected a number above 0, got 'inf'",
    "study a.png --budget 20.5": "--budget 20.5: expected at most 20",
    "study a.png --budget 5 --text": "--budget 5.0: expected it with a page",
    "study a.png --cell 99,99": "--cell 99,99: expected it with --text",
    "study a.png --channel 3": "--channel 3: expected it with --text",
    "study a.png --text --channel -1": "at least 0, got '-1'",
    "study a.png --text --cell=-1,2": "--cell -1,2: expected row and column",
    "study a.png --text --cell ٣,٤": "expected row and column",
    "study a.png --top-k 2 --class 1": "argument --class: not allowed with argument --top-k",
    "explain a.png --class 1 --top-k 3": "argument --top-k: not allowed with argument --class",
    "explain a.png --top-k 0": "at least 1, got '0'",
    f"explain a.png --top-k {'9' * 5000}": "a whole number of at most 1000000000000000000, got 999",
    "profile --rounds 1001": "--rounds: expected a whole number of at most 1000, got 1001",
    "profile --rounds 1e9": "--rounds: expected a whole number of at least 1, got '1e9'",
    "diagnose a.npy a.png --tolerance nan": "expected a number above 0, got 'nan'",
    "diagnose a.npy a.png --tolerance -1": "expected a number above 0, got '-1'",
    "diagnose a.npy a.png --picture nowhere/x.png": "no folder nowhere to write into",
    "diagnose a.npy a.png --picture new.jpg": "--picture: expected a name that ends in .png, got 'new.jpg'",
    "study a.png -o -": "argument -o/--out: expected a name that ends in .html, got '-'",
    "study a.png -o why.pdf": "argument -o/--out: expected a name that ends in .html, got 'why.pdf'",
    "study a.png --npz why.html": "--npz: expected a name that ends in .npz, got 'why.html'",
    "predict -dash.png": "-dash.png looks like an option; write the file as ./-dash.png; see npgradcam predict --help",
    "predict a.png --modl shapes": "there is no option --modl; near it: --model; see npgradcam predict --help",
    "explain a.png --method gradcam": "; near it: grad-cam, ",
    "explain a.png --method Grad_CAM": "; near it: grad-cam, ",
    "diagnose a.npy a.png --method GradCAM++": "; near it: grad-cam-plus-plus, ",
    "expalin a.png": "; near it: explain; see npgradcam --help",
    "explain a.png --method zzz": "); see npgradcam explain --help",
    "explain a.png --layer -conv": "one that begins with a dash is written --option=-value",
    "layers a.png": "expected nothing more, got a.png; see npgradcam layers --help",
    "explain a.png --out ": "--out: expected a path, got nothing",
}


@pytest.mark.parametrize("asked", AT_ONCE)
def test_it_is_said_at_once(run, monkeypatch, tmp_path, asked):
    monkeypatch.setattr("npgradcam.cli.study.open_model", nothing_is_read)
    monkeypatch.setattr("npgradcam.cli.network.load", nothing_is_read)
    before = sorted(tmp_path.iterdir())
    code, out, err = run(*asked.split(" "))
    assert (code, out) == (2, "")
    assert AT_ONCE[asked] in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("wrong", [("predict",), ("predict", "--zzz"), ("zzz",), ("predict", "none.png", *SMALL)])
def test_where_stderr_is_closed_no_error_goes_to_where_results_are_read(run, monkeypatch, wrong):
    monkeypatch.setattr(sys, "stderr", None)
    code, out, _ = run(*wrong)
    assert code in (2, 4)
    assert out == ""


@pytest.mark.parametrize(("where", "said"), [
    (("--cell", "16,0"), "--cell 16,0: expected a cell of relu3, from 0,0 to 15,15"),
    (("--cell", "0,16"), "--cell 0,16: expected"), (("--channel", "24"), "from 0 to 23"),
])
def test_a_cell_that_a_layer_does_not_have_is_refused_before_anything_is_computed(run, monkeypatch, where, said):
    monkeypatch.setattr("npgradcam.cli.study.trace", nothing_is_read)
    code, _, err = run("study", "a.png", *SMALL, "--text", *where)
    assert code == 2
    assert said in err


@pytest.mark.parametrize("command", ["explain", "study"])
def test_more_classes_than_there_are_are_refused_before_anything_is_computed(run, monkeypatch, command):
    assert run(command, "a.png", *SMALL, "--top-k", 4)[0] == 0
    monkeypatch.setattr("npgradcam.network.Network.forward", nothing_is_read)
    code, out, err = run(command, "a.png", *SMALL, "--top-k", 5, "--overwrite")
    assert (code, out) == (2, "")
    assert err == "npgradcam: error: --top-k 5: expected at most the 4 classes of shapes; take --top-k 4\n"


def test_the_last_cell_and_channel_are_there(run):
    assert run("study", "a.png", *SMALL, "--text", "--cell", "15,15", "--channel", 23)[0] == 0


def test_looking_whether_a_file_can_be_written_leaves_it_as_it_is(tmp_path):
    (tmp_path / "there").write_text("as it was")
    expect_writable(tmp_path / "there")
    expect_writable(tmp_path / "new")
    assert (tmp_path / "there").read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    for bad, kind in ((tmp_path, NotWrittenError), (tmp_path / LONG, NotWrittenError), ("/dev/null", NotWrittenError),
                      (tmp_path / "no" / "x", NoFolderError), (tmp_path / "there" / "x", NoFolderError)):
        with pytest.raises(kind):
            expect_writable(bad)


def test_photographs_stand_before_and_after_options(run):
    code, out, _ = run("predict", "a.png", *SMALL, "고양이.png", "--top-k", 1)
    assert code == 0
    assert [line for line in out.splitlines() if line.endswith(":")] == ["a.png:", "고양이.png:"]


def test_a_method_is_known_however_it_is_spelt(run):
    code, out, _ = run("explain", "a.png", *SMALL, "--method", "Grad-CAM++")
    assert code == 0
    assert out.count("1 explanation") == 1


def test_an_archive_has_the_steps_of_every_layer_asked_for(run):
    ask = ("study", "a.png", *SMALL, "--layer", "relu1", "--layer", "relu3", "--npz", "steps.npz")
    code, out, err = run(*ask)
    assert (code, out) == (0, "")
    assert "every array of relu1, relu3 is in steps.npz" in err
    net = ng.load("shapes", backend="numpy")
    first = ng.trace(net, net.preprocess("a.png"), layer="relu1")
    other = ng.trace(net, first.tape, layer="relu3")
    with np.load("steps.npz") as found:
        for name in ("activations", "gradients", "alpha", "signed_cam", "cam", "upsampled", "normalised"):
            assert np.array_equal(found[name], getattr(first, name))
            assert np.array_equal(found[f"layer/relu3/{name}"], getattr(other, name))
        assert np.array_equal(found["layer/relu3/contributions"][0], other.contributions())
        assert '"layer": "relu1", "compared": ["relu3"]' in str(found["about"])
    assert run(*ask, "--overwrite")[0] == 0  # it is known as one of study's
    with pytest.raises(NpGradcamError, match="one forward"):
        save([first, ng.trace(net, net.preprocess("a.png"), layer="relu3")], "other.npz")


QUIET = {
    "explain a.png --method cam": False, "explain a.png --method cam --json": True, "study a.png": False,
    "study a.png --text": True, "study a.png --npz a.npz": False, "predict a.png": True, "predict a.png --json": True,
    "diagnose map.npy a.png": True, "verify shapes a.png --no-randomise": True, "warmup": True,
    "profile shapes --rounds 1": True,
}


@pytest.mark.parametrize("asked", QUIET)
def test_quiet_prints_results_that_no_file_has_and_nothing_else(run, asked):
    np.save("map.npy", np.ones((16, 16), np.float32))
    options = () if asked.startswith(("verify", "profile")) else SMALL[:2]
    code, out, err = run(*asked.split(), *options, "--backend", "numpy", "--quiet")
    assert code in (0, 5)
    assert (out != "", err) == (QUIET[asked], "")


def test_quiet_is_told_in_the_same_words_everywhere():
    commands = build_parser()._subparsers._group_actions[0].choices
    told = {name: action.help for name, command in commands.items() for action in command._actions
            if action.dest == "quiet"}
    assert set(told) == {"explain", "study", "predict", "diagnose", "verify", "reference", "warmup", "profile"}
    assert len(set(told.values())) == 1
