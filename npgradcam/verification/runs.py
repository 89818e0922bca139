"""Whether the way a network is run changes its answer: together or alone, on how many threads, rewritten or not."""

from __future__ import annotations

import numpy as np

from npgradcam.kernels import threads
from npgradcam.methods import grad_cam
from npgradcam.typing import Array

from .record import Check, NotApplicableError
from .subject import Subject, apart, worst


def many_targets(s: Subject) -> Check:
    """Several classes from one forward are what each is alone."""
    classes = s.best(3)
    together = grad_cam(s.net, s.first, [classes], s.layer).signed_cam
    alone = [grad_cam(s.net, s.first, c, s.layer).signed_cam[0] for c in classes]
    return Check("many targets", f"the maps of {len(classes)} classes together and one by one",
                 worst(zip(together, alone, strict=True)), s.tolerance)


def batch(s: Subject) -> Check:
    """Several images at once are what each is alone."""
    for declared in s.net.declared.values():
        if declared[0] is not None:
            raise NotApplicableError(f"the model takes batches of {declared[0]} alone")
    x = {name: x if len(x) > 1 else np.concatenate([x, x[..., ::-1]]) for name, x in s.images.items()}
    together = grad_cam(s.net, x, layer=s.layer)
    alone = [grad_cam(s.net, {name: images[n : n + 1] for name, images in x.items()}, int(c), s.layer)
             for n, c in enumerate(np.asarray(together.target))]
    pairs = [(getattr(together, part)[n], getattr(e, part)[0]) for n, e in enumerate(alone)
             for part in ("logits", "activations", "signed_cam")]
    return Check("batch", f"logits, A and map of {len(alone)} images together and one by one", worst(pairs),
                 min(s.tolerance, 1e-6))


def thread_counts(s: Subject) -> Check:
    """Any number of threads gives the same bits."""
    most = threads.available(s.net.backend)
    if most < 2:
        raise NotApplicableError("there is one thread")

    def answer() -> tuple[Array | None, ...]:
        e = grad_cam(s.net, s.first, s.target, s.layer)
        return e.logits, e.activations, e.gradients, e.signed_cam, *s.signals("gradient")

    found = []
    for count in range(1, most + 1):
        with threads.on(count):
            found.append(answer())
    bits = {tuple(np.asarray(part).tobytes() for part in parts) for parts in found}
    figure = 0.0 if len(bits) == 1 else max(worst(zip(other, found[0], strict=True)) for other in found[1:]) or np.inf
    return Check("threads", f"logits, A, dA, map and signal on 1 to {most} threads, bit by bit", figure, 0.0)


def plan(s: Subject) -> list[Check]:
    """What runs agrees with what is drawn: the rewritten network in its own precision, and the layers in float64."""
    fast = grad_cam(s.net, s.first, s.target, s.layer)
    exact = grad_cam(s.exact, s.tape, s.target, s.layer)
    limit = s.tolerance if s.net.dtype == "float64" else 1e-4
    rules = ("gradient", "guided", "deconvnet") if s.exact.rectifiers(s.output, s.inputs) else ("gradient",)
    turned = [_angle(ours, exact) for rule in rules for ours, exact in zip(
        s.signals(rule), s.exact.backward(s.tape, s.seed, s.inputs, rule).values(), strict=True)]
    of = f"{s.net.dtype}{', rewritten,' if s.net.rewrite or s.net.choose else ''} and float64 as drawn"
    return [
        Check("plan: logits", f"{of}, relative to the largest logit", apart(fast.logits, exact.logits), limit),
        Check("plan: A", f"{of}, relative to the largest value", apart(fast.activations, exact.activations), limit),
        Check("plan: map", f"{of}: 1 - cosine", _angle(fast.signed_cam, exact.signed_cam), 1e-4),
        Check("plan: signals", f"{of}: 1 - cosine of {', '.join(rules)}", float(np.max(turned)), 1e-4),
    ]


def _angle(a: Array, b: Array) -> float:
    """Return 1 - the cosine between two arrays; 0 where both are 0."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return max(0.0, 1 - float(a @ b) / norms) if norms else float(a.any() or b.any())
