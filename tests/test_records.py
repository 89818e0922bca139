"""Records stay what they are: whole rows, read-only arrays, also when they are copied."""

import copy
import pickle
import re

import numpy as np
import pytest
from small_nets import gap_net, pictures

import npgradcam as ng
from npgradcam import maps
from npgradcam.colours import BLUE_WHITE_RED, TURBO
from npgradcam.errors import ImageError, NotWrittenError, OutputExistsError, TargetError
from npgradcam.methods.explanation import Explanation, slug, write_npy
from npgradcam.methods.guided_grad_cam import product
from npgradcam.models.shapes_data import held_out
from npgradcam.writing import whole_file


@pytest.fixture
def record():
    return ng.grad_cam(gap_net(), pictures(1), target=[[0, 1]])


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copy_of_a_record_is_read_only_too(record, copied):
    twin = copied(record)
    np.testing.assert_array_equal(twin.cam, record.cam)
    with pytest.raises(ValueError, match="read-only"):
        twin.cam[:] = 0


def test_arrays_that_go_into_a_record_stay_writable_outside_of_it(record):
    cam = np.zeros((2, 3, 5))
    assert not type(record)(**{**vars(record), "cam": cam}).cam.flags.writeable
    assert cam.flags.writeable


@pytest.mark.parametrize("row", [-1, 2, 99])
def test_a_row_that_is_not_there_is_named(record, row):
    with pytest.raises(TargetError, match=f"from 0 to 1, got {row}"):
        record.picture(row)
    with pytest.raises(TargetError, match=f"from 0 to 1, got {row}"):
        record.overlay(np.zeros((8, 8, 3), np.uint8), row)
    for e in (record, ng.backprop(gap_net(), pictures(1), target=[[0, 1]])):
        for ask in (e.picture, e.array, e.label, e.note, e.name):
            with pytest.raises(TargetError, match=f"from 0 to 1, got {row}"):
                ask(row)


def test_a_record_in_an_interpreter_is_one_line_without_numbers_of_its_arrays(record):
    assert repr(record) == (
        "ClassActivationMap('grad-cam', 2 rows, layer 'relu2', logits (1, 5), target (2,), image (2,), "
        f"activations {record.activations.shape}, gradients {record.gradients.shape}, alpha {record.alpha.shape}, "
        f"signed_cam {record.signed_cam.shape}, cam {record.cam.shape})"
    )
    said = repr(ng.guided_grad_cam(gap_net(), pictures(1), 1))
    assert said.startswith("GuidedGradCam('guided-grad-cam', 1 row, layer 'relu2', rule 'guided', logits (1, 5), ")
    assert "\n" not in said


def test_the_picture_of_a_signal_clips_one_number_in_two_hundred_and_leaves_the_array_alone():
    e = ng.backprop(gap_net(), pictures(1), target=[[0, 1]])
    for row in (0, 1):
        magnitudes = np.sort(np.abs(e.signal[row]), axis=None)
        limit = magnitudes[int(0.995 * magnitudes.size)]
        assert e.limit(row) == limit < magnitudes[-1]
        np.testing.assert_array_equal(e.picture(row), maps.signal_image(e.signal[row], limit))
        np.testing.assert_array_equal(e.array(row), e.signal[row])
    nothing = type(e)(**{**vars(e), "signal": 0 * e.signal})
    assert nothing.limit() == 0
    assert (nothing.picture() == 128).all()


def test_a_name_may_say_the_layer(record):
    assert record.name(1) == "grad-cam_1_1"
    assert record.name(1, "blocks.10/Add") == "grad-cam_blocks-10-add_1_1"


def test_the_product_of_two_records_is_guided_grad_cam():
    net, x = gap_net(), pictures(2)
    target = [[0, 1], [3]]
    whole = ng.guided_grad_cam(net, x, target)
    made = product(ng.grad_cam(net, x, target), ng.backprop(net, x, target, "guided"))
    assert repr(made) == repr(whole)
    assert list(vars(made)) == list(vars(whole))
    for name, value in vars(whole).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(made, name), value)
    for factor in ("grad_cam", "backprop"):
        for name, value in vars(getattr(whole, factor)).items():
            np.testing.assert_array_equal(getattr(getattr(made, factor), name), value)


def test_two_that_write_one_file_do_not_meet_and_a_failure_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.npy"
    with whole_file(path) as one, whole_file(path) as other:
        one.write(b"one")
        other.write(b"other")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    with pytest.raises(ValueError, match="Object arrays"):
        write_npy(path, np.array([None]))
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_saving_into_a_file_says_so_and_leaves_it(record, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OutputExistsError, match="is a file"):
        record.save(tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("name", ["/proc/zz", "a.npy/x", "x" * 300, ""])
def test_a_directory_that_cannot_be_is_a_sentence(record, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npy").touch()
    with pytest.raises(NotWrittenError, match=r"cannot write .*; choose another directory|got an empty"):
        record.save(name)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_saved_arrays_are_the_signed_maps(record, tmp_path):
    paths = record.save(tmp_path)
    assert [p.name for p in paths] == ["grad-cam_0_0.png", "grad-cam_0_0.npy", "grad-cam_1_1.png", "grad-cam_1_1.npy"]
    np.testing.assert_array_equal(np.load(paths[3]), record.signed_cam[1])
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_an_overlay_is_the_normalised_map_on_the_photograph():
    net, photograph = ng.load("shapes"), held_out().pictures[0]
    e, seen = ng.grad_cam(net, net.preprocess(photograph), [[0, 2]]), net.preprocessing.prepare(photograph)
    for row in (0, 1):
        plain = maps.normalise(maps.place(e.cam[row], seen))
        expected = maps.overlay(seen.photograph, plain, 0.3, TURBO, maps.inside(seen))
        np.testing.assert_array_equal(e.overlay(photograph, row, opacity=0.3), expected)
        np.testing.assert_array_equal(e.overlay(seen, row, 0.3), expected)
        both = maps.normalise(maps.place(e.signed_cam[row], seen))
        expected = maps.overlay(seen.photograph, both, 0.5, BLUE_WHITE_RED, maps.inside(seen))
        np.testing.assert_array_equal(e.overlay(photograph, row, signed=True), expected)
    assert (e.overlay(photograph) != e.overlay(photograph, signed=True)).any()
    middle = ng.images.preset("imagenet", (16, 16))  # a crop: the map covers the middle of the photograph alone
    cropped, wide = type(e)(**{**vars(e), "preprocessing": middle}), np.concatenate([photograph, photograph], axis=1)
    np.testing.assert_array_equal(cropped.overlay(wide), e.overlay(middle.prepare(wide)))


def test_without_preprocessing_an_overlay_takes_the_picture_as_the_network_saw_it(record):
    seen = np.random.default_rng(0).integers(0, 256, (14, 20, 3), np.uint8)
    large = maps.normalise(maps.upsample(record.cam[1], (14, 20)))
    np.testing.assert_array_equal(record.overlay(seen, 1), maps.overlay(seen, large, 0.5, TURBO))


def test_a_record_of_seeds_names_them_so_and_says_which_image_is_meant():
    x, seed = pictures(2), np.ones((2, 5))
    e = ng.grad_cam(gap_net(), x, seed=seed)
    assert (e.label(1), e.name(1)) == ("seed", "grad-cam_image1_seed")
    assert ng.grad_cam(gap_net(), x[:1], seed=seed[:1]).name() == "grad-cam_seed"


def test_a_zero_map_says_which_evidence_is_missing():
    for method, words in ((ng.grad_cam, "positive evidence for 3"), (ng.counterfactual_grad_cam, "evidence against 3")):
        e = method(gap_net(), pictures(1), 3)
        assert (e.note(), e.notes) == ("", ())
        empty = type(e)(**{**vars(e), "cam": 0 * e.cam})
        assert empty.note().startswith(f"{e.method}: no cell of relu2 has {words}; ")
    assert ng.backprop(gap_net(), pictures(1), 3).note() == ""


@pytest.mark.parametrize(("rows", "rest"), [(2, ""), (8, ""), (9, "1 more rows"), (20, "12 more rows")])
def test_a_notebook_shows_eight_rows_and_counts_the_others(rows, rest):
    classes = [r % 5 for r in range(rows)]
    e = ng.grad_cam(gap_net(), pictures(1), [classes])
    words = "".join(f"{c}grad-cam of relu2" for c in classes[:8]) + rest + "".join(e.notes)
    assert re.sub("<[^>]*>", "", e._repr_html_()) == words
    assert e._repr_html_().count("<img") == min(rows, 8)


def test_a_record_of_a_kind_of_its_own_has_nothing_to_note_and_is_shown_by_its_picture(record):
    base = Explanation(method="mine", output="fc", logits=record.logits, target=record.target, image=record.image)
    assert (base.note(1), base.notes) == ("", ())
    assert Explanation(method="mine", output="fc", logits=record.logits, target=None, image=np.array([0])).note() == ""
    with pytest.raises(TargetError, match="from 0 to 1, got 2"):
        base.note(2)
    with pytest.raises(NotImplementedError):
        base.shown(None)
    signal = ng.backprop(gap_net(), pictures(1), 3)
    np.testing.assert_array_equal(signal.shown(None), signal.picture())


@pytest.mark.parametrize(("text", "name"), [
    ("a" * 50, "a" * 40), ("a" * 39 + " b", "a" * 39), ("--A  b_c--", "a-b-c"), ("\u00c9", "x"), ("", "x"),
])
def test_a_slug_is_at_most_40_characters_and_ends_in_none_of_its_dashes(text, name):
    assert slug(text) == name


def test_a_signal_of_a_network_that_reads_blue_first_is_shown_in_red_green_blue():
    blue_first = ng.images.preset("caffe", (7, 10))
    e = ng.backprop(gap_net(), pictures(1), 3)
    turned = type(e)(**{**vars(e), "preprocessing": blue_first, "signal": e.signal[:, ::-1]})
    np.testing.assert_array_equal(turned.picture(), e.picture())


class TestModel:
    def test_an_array_that_is_ready_passes_through(self):
        net = ng.load("shapes")
        x = np.zeros((2, 3, 32, 32), np.float32)
        assert net.preprocess(x) is x

    def test_no_photograph_at_all_is_an_error(self):
        with pytest.raises(ImageError, match="at least one photograph"):
            ng.load("shapes").preprocess([])

    @pytest.mark.parametrize("top", [0, -1, 2.0, "3"])
    def test_the_number_of_predictions_is_a_whole_number(self, top):
        net = ng.load("shapes")
        with pytest.raises(TargetError, match="whole number"):
            net.predict(np.zeros((1, 3, 32, 32), np.float32), top=top)

    def test_predictions_of_nan_are_refused(self):
        net = ng.load("shapes")
        with pytest.raises(TargetError, match="NaN"):
            net.predict(np.full((1, 3, 32, 32), np.nan, np.float32))
