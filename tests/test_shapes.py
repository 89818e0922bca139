"""The small network of our own: its pictures, its training, and whether its maps lie on the shapes."""

import json
from importlib.resources import as_file, files

import numpy as np
import pytest

from npgradcam import build, load, maps
from npgradcam.formats import read_npz
from npgradcam.models import shapes_data as generator
from npgradcam.models import train_shapes
from npgradcam.models.shapes import PREPROCESS
from npgradcam.models.shapes_data import CLASSES, HELD_OUT, SIDE, held_out, shapes_data, two_shapes
from npgradcam.models.train_shapes import CHECKED, accuracy, cross_entropy, loss_and_gradients, network_input
from npgradcam.models.weights import random_weights

LAST = "relu3"


@pytest.fixture(scope="module")
def checked():
    return shapes_data(**CHECKED)


@pytest.fixture(scope="module")
def network():
    return load("shapes").network


@pytest.fixture(scope="module")
def made():
    with as_file(files("npgradcam.models") / "shapes.npz") as path:
        return json.loads(str(read_npz(path)["made"]))


def grad_cam(network, images, target):
    """By hand: alpha = mean of the gradients, ReLU(sum alpha A), upsampled; (N, H, W)."""
    tape = network.forward(images, observe=LAST)
    gradients = network.backward(tape, np.eye(len(CLASSES), dtype=images.dtype)[target], down_to=LAST)
    alpha = gradients.mean(axis=(2, 3))
    cam = np.maximum(np.einsum("nk,nkij->nij", alpha, tape.activations[LAST]), 0)
    return maps.upsample(cam, images.shape[2:])


# ------------------------------------------------------------------------------------------------ pictures


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others():
    first, again, other = shapes_data(8, seed=3), shapes_data(8, seed=3), shapes_data(8, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.pictures, other.pictures)


def test_the_shipped_pictures_are_what_the_generator_draws():
    for shipped, drawn in zip(held_out(), shapes_data(**HELD_OUT), strict=True):
        assert shipped.dtype == drawn.dtype
        assert np.array_equal(shipped, drawn)


def test_labels_are_balanced():
    assert np.bincount(shapes_data(42, seed=0).labels).tolist() == [11, 11, 10, 10]
    assert np.bincount(held_out().labels).tolist() == [16, 16, 16, 16]


def test_boxes_hold_the_shape_and_no_row_or_column_more():
    """A shape that is painted in a colour of its own on nothing is found again by its colour."""
    draw = np.random.default_rng(0)
    for label in range(len(CLASSES)):
        picture = np.full((SIDE, SIDE, 3), -1.0)
        box = generator._shape(draw, picture, np.full(3, 128.0), label, generator.RADIUS, (0, SIDE))
        rows, columns = np.nonzero((picture != -1).any(axis=2))
        assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_shapes_have_equal_area_and_keep_within_reach(label):
    points = np.linspace(-10, 10, 2001)
    within = generator.inside(label, points[None, :], points[:, None], 5.0)
    assert within.sum() * 0.01**2 == pytest.approx(np.pi * 5**2, rel=2e-3)
    y, x = points[np.nonzero(within)[0]], points[np.nonzero(within)[1]]
    assert np.hypot(x, y).max() <= generator.REACH * 5


def test_two_shapes_differ_in_class_and_keep_to_their_halves():
    data = two_shapes(40, seed=1)
    assert (data.labels[:, 0] != data.labels[:, 1]).all()
    assert (data.boxes[:, 0, 2] <= SIDE // 2).all()
    assert (data.boxes[:, 1, 0] >= SIDE // 2).all()


# ------------------------------------------------------------------------------------------------ training


def test_the_input_of_training_is_the_models_own_preprocessing():
    pictures = held_out().pictures[:5]
    expected = np.concatenate([PREPROCESS.prepare(picture).x for picture in pictures])
    assert np.array_equal(network_input(pictures), expected)


def test_cross_entropy_of_known_probabilities():
    logits = np.log(np.array([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]]))
    loss, seed = cross_entropy(logits, np.array([2, 0]))
    assert loss == pytest.approx(-(np.log(5 / 8) + np.log(1 / 4)) / 2, abs=1e-15)
    np.testing.assert_allclose(seed, [[1 / 16, 2 / 16, -3 / 16], [-3 / 8, 1 / 8, 2 / 8]], atol=1e-15)


def test_parameter_gradients_of_the_loss_equal_finite_differences():
    """In float64, centred, along the axis of three numbers in every parameter and along one random direction of it."""
    draw, h = np.random.default_rng(5), 1e-6
    data = shapes_data(4, seed=5)
    images, labels = network_input(data.pictures, "float64"), data.labels.astype(np.int64)
    w = random_weights(1)
    build("shapes", w, "float64")
    weights = {name: array.astype(np.float64) for name, array in w.taken.items()}

    def loss(name, change):
        changed = {**weights, name: weights[name] + change}
        return loss_and_gradients(build("shapes", changed, "float64"), images, labels)[0]

    _, gradients = loss_and_gradients(build("shapes", weights, "float64"), images, labels)
    assert gradients.keys() == weights.keys()
    for name, gradient in gradients.items():
        directions = [draw.standard_normal(gradient.shape)]
        for place in draw.integers(gradient.size, size=3):
            directions.append(np.zeros(gradient.shape))
            directions[-1].flat[place] = 1
        for direction in directions:
            slope = (loss(name, h * direction) - loss(name, -h * direction)) / (2 * h)
            assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-6, abs=1e-8), name


def test_a_short_training_lowers_the_loss_and_repeats_bitwise():
    data = shapes_data(200, seed=(7, 1))  # what it trains on
    images, labels = network_input(data.pictures), data.labels.astype(np.int64)
    weights, losses = train_shapes.train(seed=7, epochs=6, pictures=200)
    again, losses_again = train_shapes.train(seed=7, epochs=6, pictures=200)
    before, after = (loss_and_gradients(build("shapes", w), images, labels)[0]
                     for w in (train_shapes.initial_weights(7), weights))
    assert after < before
    assert len(losses) == 24
    assert losses == losses_again
    assert all(np.array_equal(weights[name], again[name]) for name in weights)


def test_centring_changes_no_probability():
    w = random_weights(2)
    build("shapes", w)
    images = network_input(held_out().pictures[:4])
    before, after = (build("shapes", weights)(images) for weights in (w.taken, train_shapes.centred(w.taken)))
    np.testing.assert_allclose(after, before - before.mean(axis=1, keepdims=True), atol=1e-5)


# ------------------------------------------------------------------------------------------------ the trained network


def test_the_network_is_small(network):
    assert network.parameter_count < 10_000


def test_the_accuracy_is_as_recorded(network, made, checked):
    assert accuracy(network, held_out()) == made["accuracy_held_out"]
    assert accuracy(network, checked) == pytest.approx(made["accuracy_checked"], abs=0.002)  # a near tie may turn
    assert made["accuracy_checked"] >= 0.97


def test_maps_lie_on_the_shapes(network, checked):
    """Grad-CAM of the top class: most of a map lies in the shape's box, and so does its highest point."""
    images = network_input(checked.pictures[:400])
    cams = grad_cam(network, images, network(images).argmax(axis=1))
    inside, hits, share = [], [], []
    for cam, (left, top, right, bottom) in zip(cams, checked.boxes, strict=False):
        i, j = np.unravel_index(cam.argmax(), cam.shape)
        inside.append(cam[top:bottom, left:right].sum() / cam.sum())
        hits.append(top - 2 <= i < bottom + 2 and left - 2 <= j < right + 2)
        share.append((right - left) * (bottom - top) / cam.size)
    assert np.mean(share) < 0.25  # what a map that knows nothing would reach
    assert np.mean(inside) >= 0.70
    assert np.mean(hits) >= 0.95


def test_maps_tell_two_shapes_apart(network):
    """Of two shapes in one picture, each class's map lies in the half of its own shape."""
    data = two_shapes(200, seed=8)
    images = network_input(data.pictures)
    own = []
    for side, half in enumerate((slice(0, SIDE // 2), slice(SIDE // 2, SIDE))):
        cams = grad_cam(network, images, data.labels[:, side])
        own.append(cams[:, :, half].sum(axis=(1, 2)) / np.maximum(cams.sum(axis=(1, 2)), 1e-30))
    assert np.mean(own) >= 0.75  # 0.5 for a map that knows nothing of classes
