"""`npgradcam diagnose`: what it prints, its exit codes, and what it refuses to read."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

import npgradcam as ng
from npgradcam.cli import main

SMALL = ("--model", "shapes")


@pytest.fixture
def run(capsys):
    """Run the command line in this process; return its exit code and what it printed."""

    def run(*arguments):
        code = main(["diagnose", *map(str, arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    return run


@pytest.fixture
def explained(tmp_path):
    """A map of the small network, its input, and where they are saved."""
    net = ng.load("shapes")
    x = net.preprocess(ng.images.sample("two_shapes"))
    map = ng.conventions["captum 0.9.0, interpolated"].apply(ng.grad_cam(net, x, 1), x.shape[2:])[0]
    np.save(tmp_path / "map.npy", map)
    np.save(tmp_path / "input.npy", x)
    np.savez(tmp_path / "maps.npz", cam=map, other=np.random.default_rng(0).random(map.shape))
    return tmp_path


def test_a_map_is_traced_to_a_convention(run, explained):
    code, out, _ = run(explained / "map.npy", "--sample", "two_shapes", "--class", 1, *SMALL)
    assert code == 0
    assert out.startswith("Grad-CAM of relu3, class 1: matches captum 0.9.0, interpolated to ")


def test_a_mistake_is_named_and_the_input_may_come_from_a_file(run, explained):
    code, out, _ = run(f"{explained}/maps.npz:cam", explained / "input.npy", "--class", 0, *SMALL)
    assert code == 0
    assert "class 1, not class 0" in out


def test_programs_read_json(run, explained):
    code, out, _ = run(explained / "map.npy", "--sample", "two_shapes", "--class", 1, "--json", *SMALL)
    told = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert told["explained"] is True
    assert told["matches"] == ["captum 0.9.0, interpolated"]
    assert told["findings"][0]["convention"]["resize"] == "nearest"


def test_explained_is_not_right_and_the_answer_says_which(run, explained):
    """One exit code for both; a word for programs."""
    e = ng.grad_cam(ng.load("shapes"), np.load(explained / "input.npy"), 1)
    np.save(explained / "cam.npy", e.cam[0])
    np.save(explained / "large.npy", ng.maps.upsample(e.cam, (32, 32))[0])  # as --help says
    for name, verdict in (("cam", "paper"), ("large", "paper"), ("map", "convention")):
        given = explained / f"{name}.npy", explained / "input.npy", "--class", 1, *SMALL
        code, out, _ = run(*given)
        assert code == 0
        assert ("it is the paper's map" in out) == (verdict == "paper")
        assert json.loads(run(*given, "--json")[1])["verdict"] == verdict


def test_the_help_says_how_the_file_is_made_and_what_exit_code_0_means(run):
    code, said, _ = run("--help")
    assert code == 0
    for words in ('numpy.save("map.npy", e.cam[0])', "ng.maps.upsample(e.cam, (224, 224))[0]",
                  "0 explained (which is not: right)", "paper, convention, departure or unexplained"):
        assert words in said


def test_what_nothing_explains_has_an_exit_code_and_a_picture(run, explained):
    there = explained / "why.png"
    code, out, _ = run(f"{explained}/maps.npz:other", "--sample", "two_shapes", "--picture", there, *SMALL)
    assert code == 5
    assert "nothing explains the map" in out
    assert out.count("picture") == out.count(f"a picture of both: {there}\n") == 1
    with Image.open(there) as picture:
        assert picture.size[0] > 600


def test_a_picture_is_suggested_where_none_was_asked_for(run, explained):
    code, out, _ = run(f"{explained}/maps.npz:other", "--sample", "two_shapes", *SMALL)
    assert code == 5
    assert "a picture of both: --picture FILE, or picture()" in out


def test_several_images_have_several_classes(run, explained):
    x = np.load(explained / "input.npy")
    both = np.concatenate([x, x[..., ::-1]])
    np.save(explained / "both.npy", both)
    e = ng.grad_cam(ng.load("shapes"), both, [1, 2])
    np.save(explained / "maps.npy", e.cam)
    code, out, _ = run(explained / "maps.npy", explained / "both.npy", "--class", 1, "--class", 2, *SMALL)
    assert code == 0
    assert "classes 1, 2: matches the paper's L^c" in out


@pytest.mark.parametrize(("given", "said"), [
    ("maps.npz", r"expected one of its arrays as .*maps.npz:NAME, NAME among cam, other"),
    ("map.png", r"expected an .npy or .npz file"),
    ("none.npy", r"there is no such file"),
    ("objects.npy", r"expected numbers or text"),
    ("cut.npy", r"bytes for float32"),
    ("text.npy", r"expected real numbers"),
])
def test_what_is_no_map_is_one_sentence(run, explained, given, said):
    """No pickle is opened, and a header that lies is seen before anything is made of it."""
    np.save(explained / "objects.npy", np.array([{}, 1], object), allow_pickle=True)
    (explained / "cut.npy").write_bytes((explained / "map.npy").read_bytes()[:-4])
    np.save(explained / "text.npy", np.array(["a", "b"]))
    code, out, err = run(explained / given, "--sample", "two_shapes", *SMALL)
    assert code == 2
    assert not out
    assert err.count("\n") == 1
    assert re.search(said, err), err


def test_a_map_without_a_picture_is_refused(run, explained):
    code, _, err = run(explained / "map.npy", *SMALL)
    assert code == 2
    assert "expected a photograph or an .npy file" in err


def test_a_picture_replaces_nothing(run, explained):
    """Neither the photograph nor the map: who mistypes --picture must not lose what it was about."""
    photograph = explained / "photograph.png"
    photograph.write_bytes(ng.images.sample("two_shapes").read_bytes())
    for precious, said in ((photograph, "exists; choose another name"), (explained / "map.npy", "that ends in .png")):
        before = precious.read_bytes()
        code, _, err = run(explained / "map.npy", photograph, "--picture", precious, *SMALL)
        assert code == 2
        assert said in err
        assert precious.read_bytes() == before


def test_two_pictures_are_refused(run, explained):
    code, _, err = run(explained / "map.npy", explained / "input.npy", "--sample", "two_shapes", *SMALL)
    assert code == 2
    assert "expected one picture" in err
