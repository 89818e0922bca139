"""Records stay what they are: whole rows, read-only arrays, also when they are copied."""

import copy
import pickle

import numpy as np
import pytest
from small_nets import gap_net, pictures

import npgradcam as ng
from npgradcam.errors import ImageError, OutputExistsError, TargetError


@pytest.fixture
def record():
    return ng.grad_cam(gap_net(), pictures(1), target=[[0, 1]])


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copy_of_a_record_is_read_only_too(record, copied):
    twin = copied(record)
    np.testing.assert_array_equal(twin.cam, record.cam)
    with pytest.raises(ValueError, match="read-only"):
        twin.cam[:] = 0


@pytest.mark.parametrize("row", [-1, 2, 99])
def test_a_row_that_is_not_there_is_named(record, row):
    with pytest.raises(TargetError, match=f"from 0 to 1, got {row}"):
        record.picture(row)
    with pytest.raises(TargetError, match=f"from 0 to 1, got {row}"):
        record.overlay(np.zeros((8, 8, 3), np.uint8), row)


def test_saving_into_a_file_says_so_and_leaves_it(record, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OutputExistsError, match="is a file"):
        record.save(tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_saved_arrays_are_the_signed_maps(record, tmp_path):
    paths = record.save(tmp_path)
    assert [p.name for p in paths] == ["grad-cam_0_0.png", "grad-cam_0_0.npy", "grad-cam_1_1.png", "grad-cam_1_1.npy"]
    np.testing.assert_array_equal(np.load(paths[3]), record.signed_cam[1])
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


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
