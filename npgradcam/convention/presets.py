"""The conventions by name: the paper's, ours, and those of nine other implementations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from npgradcam.errors import NpGradcamError

from .record import Convention

_RECORDED = "recorded with it"
_NAN = "a map that is zero everywhere (or constant) becomes NaN"
_INERT = "guided backpropagation acts on ReLU modules alone: on ReLU6 and other rectifiers it is the plain gradient"

_ALL = (
    Convention(name="paper", source="Selvaraju et al. 2017, equations (1), (2) and section 3"),
    Convention(name="paper, L^c", source="Selvaraju et al. 2017, equation (2): not enlarged", resize="none"),
    Convention(name="npgradcam", source="manifest.json", normalise="max", when="after"),
    Convention(
        name="npgradcam, saved", source="the .npy of `save`: equation (2) before its ReLU", relu="none", resize="none",
    ),
    Convention(
        name="ramprs", weights="sum", resize="corner-aligned",
        source="read in github.com/ramprs/grad-cam, misc/utils.lua and classification.lua, and image.scale of Torch7",
    ),
    Convention(
        name="pytorch-grad-cam 1.5.7", source=_RECORDED, score="output", plus_plus="equation 19 + 1e-6",
        xgrad="share + 1e-7", relu="both", normalise="minmax", when="both", epsilon=1e-7, gates="ReLU",
        faults=(_INERT, "1e-6 in the denominator of Grad-CAM++ outweighs squared gradients that are as small",
                "its guided backpropagation of a batch is that of the first image"),
    ),
    Convention(
        name="captum 0.9.0", source=_RECORDED, score="output", relu="none", resize="none", product="nearest",
        gates="ReLU", faults=(_INERT,),
    ),
    Convention(
        name="captum 0.9.0, interpolated", source=_RECORDED, score="output", relu="none", resize="nearest",
        product="nearest", gates="ReLU", faults=(_INERT,),
    ),
    Convention(
        name="torchcam 0.5.0", source=_RECORDED, score="output", plus_plus="no denominator", normalise="minmax",
        when="before", epsilon=1e-8, resize="none", product="none",
        faults=("the denominator of Grad-CAM++ is missing: the division acts on a copy",),
    ),
    Convention(
        name="torchcam 0.5.0, raw", source=_RECORDED, score="output", plus_plus="no denominator", resize="none",
        product="none", faults=("the denominator of Grad-CAM++ is missing: the division acts on a copy",),
    ),
    Convention(
        name="tf-keras-vis 0.8.7", source=_RECORDED, score="output", plus_plus="normalised alphas",
        normalise="minmax", when="after", epsilon=1e-7, resize="corner-aligned", product="none",
        faults=("Grad-CAM++ multiplies by exp(score), infinite in float32 from 88.8 on",),
    ),
    Convention(
        name="xplique 2.0.2", source=_RECORDED, score="output", plus_plus="mean activation", resize="cubic, table",
        product="none", faults=("Grad-CAM++ has the mean of the activations in the place of their sum",),
    ),
    Convention(
        name="saliency 0.2.1", source=_RECORDED, score="output", normalise="max", when="before", resize="mirrored",
        product="none",
    ),
    Convention(
        name="kazuto1011", source="read in github.com/kazuto1011/grad-cam-pytorch, grad_cam.py, January 2020",
        score="output", normalise="minmax", when="after", gates="ReLU", faults=(_NAN, _INERT),
    ),
    Convention(
        name="utkuozbulak", source="read in github.com/utkuozbulak/pytorch-cnn-visualizations, src/gradcam.py, 697e7fa",
        score="output", start=1.0, normalise="minmax", when="before", levels=255, resize="lanczos", swapped=True,
        gates="ReLU",
        faults=("the sum begins at 1, not at 0", "height and width change places where the picture is not square",
                "the map is rounded to 1/255 before it is enlarged", _INERT),
    ),
)


class Conventions(Mapping[str, Convention]):
    """Conventions by name; a name without its version will do."""

    def __init__(self, conventions: tuple[Convention, ...]) -> None:
        self._by_name = {c.name: c for c in conventions}

    def __getitem__(self, name: str) -> Convention:
        found = self._by_name.get(name) or next((c for n, c in self._by_name.items() if n.split(" ")[0] == name), None)
        if found is None:
            known = "; ".join(map(repr, self._by_name))
            raise NpGradcamError(f"no convention {name!r}; expected one of {known}, or a name without its version")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        """Return the names."""
        return f"conventions: {'; '.join(map(repr, self._by_name))}"


conventions = Conventions(_ALL)
