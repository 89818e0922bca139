// The equations, in double precision and added in the order of the index: NumPy's numbers to the last digit.

const maths = {
  // position of map k among those in the file, -1 where it is in the remainder
  place: (layer, k) => layer.kept.indexOf(k),

  // alpha^c_k = 1/Z sum_ij dy^c/dA^k_ij
  alpha(layer, c, place) {
    const Z = layer.shape[1] * layer.shape[2], g = layer.dA[c].values;
    let sum = 0;
    for (let n = 0; n < Z; n++) sum += g[place * Z + n];
    return sum / Z;
  },

  alphaOf: (layer, c, k) => layer.alpha.values[c * layer.shape[0] + k],

  // S_ij = sum_k alpha_k A^k_ij (+ the remainder); `weight(place, k, n)` gives the weight of a cell
  sum(layer, weight, remainder) {
    const Z = layer.shape[1] * layer.shape[2], S = new Float64Array(Z), A = layer.A.values;
    layer.kept.forEach((k, place) => { for (let n = 0; n < Z; n++) S[n] += weight(place, k, n) * A[place * Z + n]; });
    if (remainder) for (let n = 0; n < Z; n++) S[n] += remainder[n];
    return S;
  },

  remainder(layer, c) {
    const Z = layer.shape[1] * layer.shape[2];
    return layer.rest ? layer.rest.values.subarray(c * Z, (c + 1) * Z) : null;
  },

  signed: (layer, c) => {
    const Z = layer.shape[1] * layer.shape[2];
    return layer.signed.values.subarray(c * Z, (c + 1) * Z);
  },

  relu: (values) => values.map((v) => Math.max(v, 0)),

  // the two cells between which a pixel lies, and how far: s = (h + 1/2) I / H - 1/2, clamped to the edge
  between(pixel, cells, pixels) {
    const s = Math.min(Math.max((pixel + 0.5) * cells / pixels - 0.5, 0), cells - 1), below = Math.floor(s);
    return { s, below, above: Math.min(below + 1, cells - 1), t: s - below };
  },

  // bilinear: rows first, then columns
  pixel(map, I, J, H, W, h, w) {
    const r = this.between(h, I, H), q = this.between(w, J, W);
    const down = (j) => map[r.below * J + j] + r.t * (map[r.above * J + j] - map[r.below * J + j]);
    const a = down(q.below), b = down(q.above);
    return { value: a + q.t * (b - a), r, q, a, b };
  },

  upsample(map, I, J, H, W) {
    const large = new Float64Array(H * W);
    const columns = Array.from({ length: W }, (_, w) => this.between(w, J, W));
    for (let h = 0; h < H; h++) {
      const r = this.between(h, I, H);
      const line = Float64Array.from({ length: J }, (_, j) => map[r.below * J + j] + r.t * (map[r.above * J + j] - map[r.below * J + j]));
      columns.forEach((q, w) => { large[h * W + w] = line[q.below] + q.t * (line[q.above] - line[q.below]); });
    }
    return large;
  },

  softmax(logits) {
    const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const e = Array.from(logits, (y) => Math.exp(y - largest)), sum = e.reduce((a, b) => a + b, 0);
    return { largest, e, sum, p: e.map((v) => v / sum) };
  },

  largest: (values) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0),

  // Python's rounding of halves, as NumPy's rint
  rint(v) { const low = Math.floor(v), rest = v - low; return rest < 0.5 ? low : rest > 0.5 ? low + 1 : low % 2 ? low + 1 : low; },
};
