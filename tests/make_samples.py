"""Make the pictures in npgradcam/samples, the photographs from scikit-image: python tests/make_samples.py [FOLDER].

Made with Python 3.11, scikit-image 0.26.0, Pillow 13.0.0 and NumPy 2.4.6. The PNG keeps the published pixels; the
two JPEGs are encoded at quality 95 without chroma subsampling. Not a test, and nothing that tests need: scikit-image
is only a source of the pixels, whose digests are checked below.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from npgradcam.models.shapes_data import two_shapes

SHA256_OF_PIXELS = {
    "chelsea": "416b729128bfb2c3d1eb69bf9b1734a796293abc17939267b2dc94f8a5784031",
    "coffee": "0ce2b51640b9c95f19617f03eabf40c3f0368589cc1ee1190b70966165ac184f",
}
SIDE = 448
# (left, top, right, bottom) in the published photographs. Half of a square is twice as tall as wide; both boxes are
# wider than that, so that both eyes and the whole cup are seen, and are squeezed sideways by 4/3 and 5/4.
CAT_FACE = (150, 0, 350, 300)
CUP = (165, 0, 415, 400)


def published(name):
    pixels = getattr(data, name)()
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    if digest != SHA256_OF_PIXELS[name]:
        sys.exit(f"{name}: the pixels are not those that this script was written for (sha256 {digest})")
    return Image.fromarray(pixels)


def half(image, box):
    return image.resize((SIDE // 2, SIDE), Image.Resampling.LANCZOS, box=box)


def main(folder):
    chelsea, coffee = published("chelsea"), published("coffee")
    both = Image.fromarray(np.hstack([np.asarray(half(chelsea, CAT_FACE)), np.asarray(half(coffee, CUP))]))
    chelsea.save(folder / "chelsea.png", optimize=True)
    for name, image in (("coffee", coffee), ("cat_and_coffee", both)):
        image.save(folder / f"{name}.jpg", quality=95, subsampling=0, optimize=True)
    drawn = two_shapes(count=62, seed=5).pictures[61]  # a triangle and a square, and the network finds both
    Image.fromarray(drawn).save(folder / "two_shapes.png", optimize=True)
    for path in sorted(folder.glob("*.*g")):
        print(f"{path.name:20} {path.stat().st_size:7d} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "npgradcam" / "samples")
