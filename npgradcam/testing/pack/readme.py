"""The page that lies beside the pack's files."""

from __future__ import annotations

from collections.abc import Iterable

from .networks import Case

SNIPPET = '''\
import numpy as np
from my_project import my_grad_cam  # (file.onnx, images, image of each row, class of each row, layer) -> (R, I, J)

for name in CASES:
    with np.load(f"{name}.npz", allow_pickle=False) as right:
        for layer in right["layers"]:
            mine = my_grad_cam(f"{name}.onnx", right["images"], right["image"], right["target"], layer)
            apart = np.abs(mine - right[f"{layer}/map"]).max() / max(right[f"{layer}/map"].max(), 1)
            print(name, layer, "right" if apart <= 1e-6 else f"off by {apart:.1e}")
'''

_PAGE = """\
# Grad-CAM's reference pack, version {version}

{count} small networks with every number of their explanations. `NAME.onnx` (opset 13, float32) is a network,
`NAME.npz` its images and the right answers in float64; NumPy reads them without anything else:

```python
CASES = {names}
{snippet}```

| network | what is in it | pictures | layers |
|---|---|---|---|
{rows}

A row r is an image and a class: `image[r]` and `target[r]`. The score y^c is the logit, before a last softmax or
sigmoid. Layers, nodes and tensors have the same names in both files.

| array | shape | what |
|---|---|---|
| `images` | (N, 3, H, W) | what goes in, as it is |
| `image`, `target` | (R,) | which image and which class each row is about |
| `layers` | (L,) | the names of the layers below |
| `logits` | (N, classes) | y |
| `gradient`, `guided`, `deconvnet` | (R, 3, H, W) | what of y^c comes back to the image under each rule |
| `LAYER/A` | (N, K, I, J) | the feature maps A^k |
| `LAYER/dA` | (R, K, I, J) | dy^c/dA^k |
| `LAYER/alpha` | (R, K) | the mean of dA over its cells |
| `LAYER/signed_map`, `LAYER/map` | (R, I, J) | the sum of alpha_k A^k; its ReLU, Grad-CAM |
| `LAYER/counterfactual_map` | (R, I, J) | Grad-CAM of -y^c |
| `LAYER/upsampled` | (R, H, W) | the map, bilinear, half-pixel centres, edges repeated |
| `LAYER/guided_grad_cam` | (R, 3, H, W) | guided times upsampled, both as they are |
| `LAYER/plus_plus_weights`, `_signed_map`, `_map` | (R, K), (R, I, J) twice | Grad-CAM++ |
| `LAYER/convention/NAME` | (R, H, W) or (R, I, J) | what others make of the signed map |

NAME is a convention's own name in small letters, with `-` for whatever is between letters, digits and points:
`captum 0.9.0, interpolated` becomes `captum-0.9.0-interpolated`, and `paper, L^c` becomes `paper-l-c`. LAYER is just
the node's name.

Rules: at a rectifier with slope s a signal g becomes g s (gradient), max(g, 0) s (guided), max(g, 0) (deconvnet).
Leaking ones are rectifiers too. At a kink s is that of the lower side: 0, or what leaks; at the upper kink of a ReLU6
it is 0. A tied max pooling pays the first cell in reading order. In Grad-CAM++ a weight is the sum of max(g, 0) g^2 /
(2 g^2 + g^3 sum A), 0 where the denominator is. A convention gives NaN where its owner does. `utkuozbulak` is left
out: its enlargement is Pillow's. Where a network ends with a softmax or sigmoid, so are the owners who differentiate
that.

**Exact.** Weights and images are small whole numbers over powers of two, and every mean is over 2, 4, 8, ... cells.
So in logits, A, dA, alpha, both maps, the counterfactual and the three signals no sum is ever rounded, in whatever
order it is added, in float64 or float32: 24 bits hold every number. Whoever computes them by plain sums gets the same
bits, on any machine; algorithms that change the numbers first (Winograd's, FFT) are off by rounding. What divides or
interpolates is right to about 1e-15.

**The same bytes.** `python -m npgradcam.testing.pack OUT` makes all of this again, to the last byte: numbers come
from integers of a frozen generator, sums are exact or rounded once, members are sorted, dated 1980 and not
compressed, ONNX is written in canonical order. `manifest.json` has the SHA-256 of each file. Before a file is
written, nested loops straight from the equations and compiled layers must agree on it: the exact numbers to the last
bit, the others within 1e-13.
"""


def readme(version: int, cases: Iterable[Case]) -> str:
    """Return the page."""
    cases = list(cases)
    rows = "\n".join(
        f"| `{c.name}` | {c.about} | {' x '.join(map(str, c.images.shape))} | {', '.join(c.layers)} |" for c in cases
    )
    names = "[" + ",\n         ".join(", ".join(f'"{c.name}"' for c in cases[n : n + 8])
                                      for n in range(0, len(cases), 8)) + "]"
    return _PAGE.format(version=version, count=len(cases), rows=rows, names=names, snippet=SNIPPET)
