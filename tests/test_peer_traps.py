"""What goes wrong silently in other implementations, each as a test: here it is right, or an error that says so."""

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from small_nets import conv, flat_net, gap_net, linear, pictures, relative

import npgradcam as ng
from npgradcam.errors import OutputExistsError, TargetError
from npgradcam.layers import Clip, Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, ReLU6
from npgradcam.models import Labels, Model
from npgradcam.network import Network

EXPLAIN = {
    "grad_cam": ng.grad_cam,
    "cam": ng.cam,
    "counterfactual": ng.counterfactual_grad_cam,
    "gradient": ng.backprop,
    "guided": lambda *a, **k: ng.backprop(*a, rule="guided", **k),
    "deconvnet": lambda *a, **k: ng.backprop(*a, rule="deconvnet", **k),
    "guided_grad_cam": ng.guided_grad_cam,
}
every_method = pytest.mark.parametrize("explain", list(EXPLAIN.values()), ids=list(EXPLAIN))


def rows_of(e):
    return e.signed_cam if hasattr(e, "signed_cam") else e.signal


# ---------------------------------------------------------------- batches


@every_method
def test_one_target_for_two_images_is_an_error_and_not_a_zero_map(explain):
    with pytest.raises(TargetError, match=r"one entry per image, 2 in all, got 1"):
        explain(gap_net(), pictures(2), [1])


@every_method
def test_the_second_image_of_a_batch_is_not_dropped(explain):
    net, x = gap_net(), pictures(3)
    e = explain(net, x, 1)
    assert len(e) == len(rows_of(e)) == 3
    for i in range(3):
        assert rows_of(e)[i].any()
        assert relative(rows_of(e)[i], rows_of(explain(net, x[i : i + 1], 1))[0]) <= 1e-12


@every_method
def test_the_top_class_is_each_images_own_and_not_the_whole_batches(explain):
    net = gap_net()
    many = pictures(30)
    top = net(many).argmax(axis=1)
    assert len(set(top.tolist())) > 1
    np.testing.assert_array_equal(explain(net, many).target, top)


@every_method
def test_a_wrong_class_is_an_error_at_once(explain):
    with pytest.raises(TargetError, match=r"from 0 to 4, got 5"):
        explain(gap_net(), pictures(2), 5)


# ---------------------------------------------------------------- rules


def chain(rectifier, *layers):
    """x -> rectifier -> weights (1, 1, 1, -1, 1, 1) -> one score."""
    head = [("rectifier", rectifier), ("flatten", Flatten()), ("fc", Linear(WEIGHTS, np.zeros(1)))]
    return Network.sequential([*layers, *head], dtype="float64")


WEIGHTS = np.array([[1.0, 1, 1, -1, 1, 1]])
AT = np.array([[[[-1.0, 3, 7, 2, 0, 6]]]])  # below, inside, above, inside with a negative weight, both kinks


@pytest.mark.parametrize(
    ("rule", "relu6", "relu"),
    [
        ("gradient", [0, 1, 0, -1, 0, 0], [0, 1, 1, -1, 0, 1]),
        ("guided", [0, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1]),
        ("deconvnet", [1, 1, 1, 0, 1, 1], [1, 1, 1, 0, 1, 1]),
    ],
)
def test_a_rule_on_relu6_gates_between_0_and_6_and_on_relu_above_0(rule, relu6, relu):
    assert ng.backprop(chain(ReLU6()), AT, rule=rule).signal.ravel().tolist() == relu6
    assert ng.backprop(chain(Clip(0.0, 6.0)), AT, rule=rule).signal.ravel().tolist() == relu6
    assert ng.backprop(chain(ReLU()), AT, rule=rule).signal.ravel().tolist() == relu


def test_guided_backpropagation_on_relu6_is_not_the_gradient_in_a_real_stack():
    random = np.random.default_rng(0)
    net = Network.sequential([
        ("conv1", conv(random, 5, 3, padding="same")), ("clip1", ReLU6()),
        ("conv2", conv(random, 5, 5, padding="same")), ("clip2", ReLU6()),
        ("pool", GlobalAvgPool2d()), ("flatten", Flatten()), ("fc", linear(random, 4, 5)),
    ], dtype="float64")
    x = 8 * pictures(1)
    rules = ("gradient", "guided", "deconvnet")
    gradient, guided, deconvnet = (ng.backprop(net, x, 0, rule=rule).signal for rule in rules)
    assert relative(guided, gradient) > 0.1
    assert relative(guided, deconvnet) > 0.1
    assert ng.backprop(net, x, 0, rule="guided").gates == 2


def test_the_rule_acts_at_every_rectifier_on_the_way_also_in_the_head():
    assert ng.backprop(flat_net(7, 10), pictures(), rule="guided").gates == 2


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("between", [[], [("clip", Clip(-1.0, 1.0))]])
def test_a_rule_without_a_rectifier_is_an_error_and_not_a_plain_gradient(rule, between):
    random = np.random.default_rng(0)
    net = Network.sequential([("conv", conv(random, 4, 3)), *between, ("pool", GlobalAvgPool2d()),
                              ("flatten", Flatten()), ("fc", linear(random, 3, 4))], dtype="float64")
    with pytest.raises(ng.NpGradcamError, match=r"no rectifier.*gradient"):
        ng.backprop(net, pictures(), rule=rule)
    with pytest.raises(ng.NpGradcamError, match="no rectifier"):
        ng.guided_grad_cam(net, pictures(), layer="conv")
    assert ng.backprop(net, pictures()).signal.any()


@pytest.mark.parametrize("rule", ["Guided", "relu", "", None, 3, ng.rules.guided])
def test_an_unknown_rule_is_an_error_that_lists_them(rule):
    with pytest.raises(ng.NpGradcamError, match=r"gradient.*deconvnet.*guided"):
        ng.backprop(gap_net(), pictures(), rule=rule)


# ---------------------------------------------------------------- height and width


@every_method
def test_height_and_width_are_never_swapped(explain):
    net, x = gap_net(), pictures(1, 6, 14)
    values = rows_of(explain(net, x, 1))
    assert values.shape[-2:] in {(6, 14), (3, 7)}
    e = ng.guided_grad_cam(net, x, 1)
    assert (e.signal.shape, e.upsampled.shape, e.grad_cam.cam.shape) == ((1, 3, 6, 14), (1, 6, 14), (1, 3, 7))


@every_method
def test_a_transposed_picture_under_transposed_kernels_has_a_transposed_map(explain):
    net, x = gap_net(), pictures(2, 6, 14)
    turned = [(n.name, Conv2d(**{**vars(n.layer), "weight": n.layer.weight.transpose(0, 1, 3, 2)})
               if isinstance(n.layer, Conv2d) else n.layer) for n in net.nodes]
    other = Network.sequential(turned, dtype="float64")
    upright, transposed = rows_of(explain(net, x, 2)), rows_of(explain(other, x.swapaxes(2, 3).copy(), 2))
    assert relative(transposed.swapaxes(-1, -2), upright) <= 1e-12


def test_evidence_in_one_corner_is_shown_in_that_corner():
    net = Network.sequential([
        ("conv", Conv2d(np.ones((1, 1, 1, 1)), np.zeros(1))), ("relu", ReLU()), ("pool", GlobalAvgPool2d()),
        ("flatten", Flatten()), ("fc", Linear(np.ones((1, 1)), np.zeros(1)))])
    for h, w in ((0, 0), (0, 8), (4, 0), (4, 8), (1, 6)):
        x = np.zeros((1, 1, 5, 9), np.float32)
        x[0, 0, h, w] = 1
        assert np.unravel_index(ng.grad_cam(net, x).cam[0].argmax(), (5, 9)) == (h, w)
        picture = ng.grad_cam(net, x).picture()
        assert picture.shape == (16 * 5, 16 * 9, 3)
        reddest = np.unravel_index((picture[:, :, 0].astype(int) - picture[:, :, 2]).argmax(), picture.shape[:2])
        assert (abs(reddest[0] - 16 * h - 8) <= 8, abs(reddest[1] - 16 * w - 8) <= 8) == (True, True)


# ---------------------------------------------------------------- nothing to show


def negative_net():
    return Network.sequential([
        ("conv", Conv2d(np.ones((1, 1, 1, 1)), np.zeros(1))), ("relu", ReLU()), ("pool", GlobalAvgPool2d()),
        ("flatten", Flatten()), ("fc", Linear(np.array([[1.0], [-2]]), np.zeros(2)))], dtype="float64")


def test_a_zero_map_says_so_and_is_not_nan():
    net = Model("small", negative_net(), None, Labels.parse(["yes", "no, never"]))
    e = ng.grad_cam(net, np.ones((1, 1, 3, 4)), [[0, 1]])
    assert not e.cam[1].any()
    assert (e.signed_cam[1] < 0).all()
    (note,) = e.notes
    assert all(word in note for word in ("relu", "no", "positive", "signed_cam"))
    assert not ng.maps.normalise(e.cam)[1].any()
    for picture in (e.picture(1), e.overlay(np.zeros((6, 8, 3), np.uint8), 1)):
        assert picture.dtype == np.uint8
    assert ng.counterfactual_grad_cam(net, np.ones((1, 1, 3, 4)), 1).notes == ()


def test_a_dead_network_gives_zeros_and_words():
    net, x = negative_net(), -np.ones((1, 1, 3, 4))
    for explain in EXPLAIN.values():
        e = explain(net, x, 0)
        if "deconvnet" not in e.method:
            assert not rows_of(e).any()
            assert len(e.notes) == 1
        assert np.isfinite(rows_of(e)).all()
        assert e._repr_png_().startswith(b"\x89PNG")


def test_where_there_is_something_to_show_nothing_is_noted():
    assert ng.backprop(gap_net(), pictures(1)).notes == ()
    assert ng.grad_cam(negative_net(), np.ones((1, 1, 3, 4)), 0).notes == ()


# ---------------------------------------------------------------- records


@every_method
def test_every_array_of_a_record_is_read_only(explain):
    def arrays(record):
        for field in fields(record):
            value = getattr(record, field.name)
            if isinstance(value, np.ndarray):
                yield field.name, value
            elif hasattr(value, "signed_cam") or hasattr(value, "signal"):
                yield from arrays(value)

    e = explain(gap_net(), pictures(2), 1)
    found = dict(arrays(e))
    assert {"logits", "target", "image"} <= set(found)
    for name, value in found.items():
        with pytest.raises(ValueError, match="read-only"):
            value[...] = 0
        assert not value.flags.writeable, name
    with pytest.raises(FrozenInstanceError):
        e.method = "another"


@every_method
def test_a_record_does_not_change_when_the_callers_arrays_do(explain):
    net, x, seed = gap_net(), pictures(2), np.eye(5)[[1, 2]]
    e = explain(net, x, 1)
    kept = rows_of(e).copy()
    x[:] = 0
    np.testing.assert_array_equal(rows_of(e), kept)
    if explain is not ng.cam:
        e = explain(net, pictures(2), seed=seed)
        kept = rows_of(e).copy()
        seed[:] = 0
        np.testing.assert_array_equal(rows_of(e), kept)
    x = pictures(2)
    at_the_image = ng.grad_cam(net, x, 1, layer="input")
    x[:] = 0
    np.testing.assert_array_equal(at_the_image.activations, pictures(2))


@every_method
def test_images_and_parameters_are_never_changed(explain):
    net, x = gap_net(dtype="float32"), pictures(2, dtype="float32")
    before = [array.copy() for n in net.nodes for array in n.layer.parameters.values()]
    explain(net, x, [[0, 1], [2]])
    np.testing.assert_array_equal(x, pictures(2, dtype="float32"))
    for old, new in zip(before, (a for n in net.nodes for a in n.layer.parameters.values()), strict=True):
        np.testing.assert_array_equal(old, new)


@every_method
def test_a_record_is_a_png_in_a_notebook(explain):
    from io import BytesIO

    from PIL import Image

    data = explain(gap_net(), pictures(2), [[0, 1], [2]])._repr_png_()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    picture = Image.open(BytesIO(data))
    picture.load()
    assert picture.mode == "RGB"
    assert picture.width > picture.height


@every_method
def test_saving_refuses_to_overwrite_and_then_writes_nothing(explain, tmp_path):
    e = explain(gap_net(), pictures(2), [[0, 1], [2]])
    paths = e.save(tmp_path / "new" / "folder")
    assert len(paths) == 6
    assert sorted(paths) == sorted((tmp_path / "new" / "folder").iterdir())
    for path in paths:
        if path.suffix == ".npy":
            assert np.load(path, allow_pickle=False).dtype == np.float64
    np.testing.assert_array_equal(np.load(paths[3]), e.array(1))

    other = tmp_path / "other"
    other.mkdir()
    (other / paths[-1].name).write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match=r"overwrite"):
        e.save(other)
    assert [(p.name, p.read_bytes()) for p in other.iterdir()] == [(paths[-1].name, b"mine")]
    e.save(other, overwrite=True)
    assert len(list(other.iterdir())) == 6
    assert (other / paths[-1].name).read_bytes() == paths[-1].read_bytes()


def test_file_names_hold_nothing_dangerous(tmp_path):
    net = Model("small", gap_net(), None, Labels.parse(["../../etc/passwd", "a b", "ÄÖ", "CON", "x" * 300]))
    names = [p.name for p in ng.grad_cam(net, pictures(1), [[0, 1, 2, 3, 4]]).save(tmp_path)]
    assert len(set(names)) == 10
    for name in names:
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.")
        assert name.count(".") == 1
        assert len(name) < 100
    assert len(list(tmp_path.iterdir())) == 10


def test_a_saved_picture_over_the_photograph_has_the_photographs_size(tmp_path):
    from PIL import Image

    photograph = np.random.default_rng(0).integers(0, 256, (21, 40, 3), dtype=np.uint8)
    e = ng.grad_cam(gap_net(), pictures(1), 1)
    (png, _) = e.save(tmp_path, photograph)
    with Image.open(png) as picture:
        assert picture.size == (40, 21)


# ---------------------------------------------------------------- tapes


def test_a_tape_of_another_network_is_an_error():
    tape = gap_net().forward(pictures(), observe=("relu2", "input"))
    for explain in EXPLAIN.values():
        with pytest.raises(ng.NpGradcamError, match="tape"):
            explain(gap_net(), tape, 1)


def test_a_tape_that_did_not_keep_the_layer_says_how_to_keep_it():
    net = gap_net()
    tape = net.forward(pictures(), observe="relu1")
    with pytest.raises(ng.NpGradcamError, match=r"'relu2'.*observe='relu2'"):
        ng.grad_cam(net, tape)
    with pytest.raises(ng.NpGradcamError, match=r"'input'.*observe='input'"):
        ng.backprop(net, tape)
    assert ng.grad_cam(net, tape, layer="relu1").layer == "relu1"


def test_a_tape_serves_any_number_of_backwards():
    net, x = gap_net(), pictures(2)
    tape = net.forward(x, observe=("relu1", "relu2", "input"))
    wanted = {layer: ng.grad_cam(net, x, 3, layer=layer).signed_cam for layer in ("relu1", "relu2", "input")}
    for layer in ("relu2", "input", "relu1", "relu2"):
        np.testing.assert_array_equal(ng.grad_cam(net, tape, 3, layer=layer).signed_cam, wanted[layer])
