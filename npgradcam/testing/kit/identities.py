"""What must hold between the answers of a function itself, whatever the truth is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from npgradcam.layers import Linear
from npgradcam.network import Node
from npgradcam.typing import Array

from .asking import Asking, in_words
from .case import Case
from .cases import cases
from .report import Result
from .truth import PRODUCT, apart


def identities(asked: Mapping[str, Asking]) -> list[Result]:
    """Return the results of every identity that the methods allow; a function that cannot answer is asked no more."""
    found: list[Result] = []
    for method, asking in asked.items():
        for check in (_one_by_one, _short_list, _linear):
            before = len(asking.answers)
            results = _tried(method, check.__doc__ or "", check(asking))
            if results and check is not _short_list:  # there a class is missing: nothing tells what is right
                asking.compared[results[0].check] = asking.answers[before:]
            found += results
    for methods, between in PAIRS.items():
        if all(m in asked for m in methods):
            found += _tried(methods[0], between.__doc__ or "", between(*(asked[m] for m in methods)))
    return found


def _tried(method: str, name: str, said: Iterator[tuple[float, float, str]]) -> list[Result]:
    """Return one result for the worst of (error, tolerance, sentence); none where there is nothing to compare."""
    name = name.rstrip(".")
    try:
        every = list(said)
    except NotImplementedError:
        return []
    except Exception as error:  # as in Asking.ask
        return [Result(method, name, "error", sentence=in_words(error))]
    if not every:
        return []
    off, tolerance, sentence = max(every, key=lambda e: e[0] / e[1])
    return [Result(method, name, "right", off) if off <= tolerance else Result(method, name, "wrong", off, sentence)]


def _case(name: str) -> Case:
    return next(c for c in cases() if c.name == name)


Said = Iterator[tuple[float, float, str]]


def _one_by_one(asking: Asking) -> Said:
    """A batch is its images one by one."""
    case = _case("two images, two classes")
    if asking.method == "cam":
        case = _two_of(_case("ReLU, global pooling"))
    both = asking.answer(case)
    for n in range(2):
        alone = asking.answer(case.with_images(slice(n, n + 1)))
        yield apart(both[n : n + 1], alone), asking.tolerance, f"image {n} alone has another answer than in the batch"


def _two_of(case: Case) -> Case:
    """Return the case with its image and that image upside down."""
    return replace(case, images=np.concatenate([case.images, case.images[:, :, ::-1]]), target=(case.target[0], 0))


def _short_list(asking: Asking) -> Said:
    """One class for two images is refused, or is the class of both."""
    case = _case("two images, two classes")
    if asking.method == "cam":
        case = _two_of(_case("ReLU, global pooling"))
    both = asking.answer(replace(case, target=(case.target[0],) * 2))
    try:
        short = asking.answer(replace(case, target=case.target[:1]))
    except Exception:  # any refusal will do
        yield 0.0, asking.tolerance, ""
        return
    sentence = "the answers have other shapes" if short.shape != both.shape else "the second image is of another class"
    if len(short) == 1:
        sentence = "the second image is left out silently"
    elif len(short) == 2 and not short[1].any():
        sentence = "the second map is zero, silently"
    yield apart(short, both), asking.tolerance, sentence


def _linear(asking: Asking) -> Said:
    """Linear in the target: of y_0 - y_1 it is the difference."""
    convention = asking.choices[0].convention
    signed = convention.relu == "none" and convention.normalise == "none"
    if convention.score != "logit" or (asking.method != "gradient" and not (
            signed and asking.method in ("cam", "grad-cam", "hires-cam"))):
        return
    case = _case("ReLU, global pooling")
    *others, last = case.network.nodes
    head = last.layer
    assert isinstance(head, Linear)  # noqa: S101
    rows = [np.concatenate([v, v[:1] - v[1:2]]) for v in (head.weight, head.bias)]
    network = replace(case.network, nodes=(*others, Node(last.name, Linear(*rows), last.inputs)))
    of = [asking.answer(replace(case, network=network, target=(c,))) for c in (0, 1, len(rows[1]) - 1)]
    yield apart(of[2], of[0] - of[1]), asking.tolerance, "the answer for y_0 - y_1 is not the difference of the answers"


def _cam_and_grad_cam(cam: Asking, grad_cam: Asking) -> Said:
    """CAM is Z times Grad-CAM under global pooling."""
    case = _case("ReLU, global pooling")
    a, b = cam.answer(case), grad_cam.answer(case)
    ours = [asking.choices[0].of(case, asking.method) for asking in (cam, grad_cam)]
    if a.shape == b.shape and _ratio(*ours) is not None:  # both finished in ways that keep it a factor
        ratio = _ratio(*ours) or 1.0
        yield apart(a, ratio * b), cam.tolerance, f"CAM is not {ratio:.4g} times Grad-CAM"


def _ratio(a: Array, b: Array) -> float | None:
    if a.shape != b.shape or not b.any():
        return None
    ratio = float((a * b).sum() / (b * b).sum())
    return ratio if apart(a, ratio * b) < 1e-9 else None


def _guided_and_gradient(guided: Asking, gradient: Asking) -> Said:
    """Guided backpropagation is not the gradient where a negative signal passes."""
    for name in ("ReLU, global pooling", "ReLU6", "batch norm"):
        case = _case(name)
        a, b = guided.answer(case), gradient.answer(case)
        equal = apart(a, b) <= guided.tolerance
        where = "ReLU6" if name == "ReLU6" else "ReLU"
        yield float(equal), 0.5, f"equals the plain gradient: the rule was not applied at {where}"


def _product(product: Asking, guided: Asking, grad_cam: Asking) -> Said:
    """Guided Grad-CAM is zero where guided backpropagation is, and where the map is."""
    case = _case("ReLU, global pooling")
    signal, what, where = (asking.answer(case) for asking in (product, guided, grad_cam))
    yield float(np.abs(signal[what == 0]).max(initial=0.0)), product.tolerance, "it is not zero where the signal is"
    if where.shape[1:] == case.size and grad_cam.choices[0].convention.relu != "none":
        outside = np.broadcast_to((where == 0)[:, None], signal.shape)
        yield float(np.abs(signal[outside]).max(initial=0.0)), product.tolerance, "it is not zero where the map is"


PAIRS: dict[tuple[str, ...], Callable[..., Said]] = {
    ("cam", "grad-cam"): _cam_and_grad_cam, ("guided-backprop", "gradient"): _guided_and_gradient,
    (PRODUCT, "guided-backprop", "grad-cam"): _product,
}
