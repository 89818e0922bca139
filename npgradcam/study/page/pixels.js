// Pictures at the input's size: the large map, the map over the photograph, Guided Grad-CAM; and what they have at a pixel.

let photograph = null;

const photographAt = (h, w) => photograph.subarray(4 * (h * data.size[1] + w));
const pixelOf = (map) => maths.pixel(map, ...layerNow().shape.slice(1), ...data.size, state.h, state.w);
const pixelNow = () => pixelOf(maths.relu(maths.signed(layerNow(), state.c)));
const opacityNow = () => Number(document.getElementById("opacity").value);

// what the overlay and Guided Grad-CAM have at a pixel
function overlayAt(h, w) {
  const paintOf = colour(pixelNow().value, layerNow().peak[state.c], false), below = photographAt(h, w);
  return [0, 1, 2].map((n) => maths.rint((1 - opacityNow()) * below[n] + opacityNow() * paintOf[n]));
}
function guidedAt(h, w) {
  const { values, shape } = data.guided[state.c], [H, W] = data.size;
  return Array.from({ length: shape[0] }, (_, n) => values[(n * H + h) * W + w] * pixelNow().value);
}

function large(values) {
  const [, I, J] = layerNow().shape;
  return maths.upsample(values, I, J, ...data.size);
}

function coloured(values, signed, opacity) {
  const [H, W] = data.size, image = new ImageData(W, H), most = maths.largest(values);
  values.forEach((v, n) => {
    const over = colour(v, most, signed);
    for (let b = 0; b < 3; b++) image.data[4 * n + b] = maths.rint((1 - opacity) * photograph[4 * n + b] + opacity * over[b]);
    image.data[4 * n + 3] = 255;
  });
  return { image, most };
}

function overlayImage() {
  const values = large(maths.relu(maths.signed(layerNow(), state.c))), [H, W] = data.size;
  const { image, most } = coloured(values, false, opacityNow());
  if (document.getElementById("contour").checked) {
    for (let h = 0; h < H - 1; h++) for (let w = 0; w < W - 1; w++) {
      const n = h * W + w, crosses = (level) => (values[n] < level) !== (values[n + 1] < level) || (values[n] < level) !== (values[n + W] < level);
      if ([0.5, 0.75, 0.9].some((part) => crosses(part * most))) image.data.set([255, 255, 255, 255], 4 * n);
    }
  }
  return image;
}

function guidedImage() {
  const signal = data.guided[state.c];  // not in the file where there was no room for it
  if (!signal) return null;
  const [H, W] = data.size, L = large(maths.relu(maths.signed(layerNow(), state.c))), C = signal.shape[0], image = new ImageData(W, H);
  const product = signal.values.map((v, n) => v * L[n % (H * W)]), sizes = Float64Array.from(product, Math.abs).sort();
  const limit = sizes[Math.min(sizes.length - 1, Math.floor(0.995 * sizes.length))] || sizes[sizes.length - 1] || 1;
  for (let n = 0; n < H * W; n++) {
    for (let b = 0; b < 3; b++) {
      const channel = C === 1 ? 0 : data.channels[0] === "B" ? 2 - b : b;
      image.data[4 * n + b] = 128 + maths.rint(127 * Math.min(1, Math.max(-1, product[channel * H * W + n] / limit)));
    }
    image.data[4 * n + 3] = 255;
  }
  return image;
}
