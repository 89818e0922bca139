// The page checks its own numbers: each identity, with the largest error relative to the largest number of its step.

const LIMIT = 1e-12;

function identities(damaged) {
  const worst = { sha: damaged.length ? Infinity : 0, alpha: 0, sum: 0, relu: 0, upsample: 0, softmax: 0, logit: 0, guided: 0 };
  let rounding = null;
  const note = (name, error, scale) => {
    const relative = scale > 0 ? error / scale : error;
    worst[name] = Math.max(worst[name], Number.isNaN(relative) ? Infinity : relative);
  };
  for (const layer of data.layers) {
    const [K, I, J] = layer.shape, Z = I * J, [H, W] = data.size;
    data.classes.forEach((_, c) => {
      const scale = maths.largest(layer.alpha.values);
      layer.kept.forEach((k, place) => note("alpha", Math.abs(maths.alpha(layer, c, place) - maths.alphaOf(layer, c, k)), scale));
      const S = maths.sum(layer, (place, k) => maths.alphaOf(layer, c, k), maths.remainder(layer, c)), given = maths.signed(layer, c);
      S.forEach((v, n) => note("sum", Math.abs(v - given[n]), maths.largest(given)));
      const L = maths.relu(given), large = maths.upsample(L, I, J, H, W);
      L.forEach((v, n) => note("relu", given[n] > 0 ? Math.abs(v - given[n]) : v, maths.largest(given)));
      note("upsample", Math.abs(large.reduce((a, b) => Math.max(a, b), 0) - layer.peak[c]), layer.peak[c]);
      for (const [h, w, v] of layer.probes[c]) note("upsample", Math.abs(large[h * W + w] - v), layer.peak[c]);
      if (layer.head) {
        let y = 0, size = Math.abs(layer.head.bias[c]);
        for (let k = 0; k < K; k++) {
          const product = layer.head.w.values[c * K + k] * layer.head.features.values[k];
          y += product; size += Math.abs(product);
        }
        note("logit", Math.abs(y + layer.head.bias[c] - layer.head.logit[c]), size);
        for (let k = 0; k < K; k++) {
          const w = layer.head.w.values[c * K + k];
          if (w) rounding = Math.max(rounding ?? 0, Math.abs(Z * maths.alphaOf(layer, c, k) - w) / maths.largest(layer.head.w.values));
        }
      }
    });
  }
  if (data.probabilities) {
    const p = maths.softmax(data.logits.values).p;
    data.top.forEach((one) => note("softmax", Math.abs(p[one.index] - one.probability), 1));
  }
  data.products.forEach((probes, c) => {
    const layer = data.layers[0], [, I, J] = layer.shape, [H, W] = data.size, L = maths.relu(maths.signed(layer, c));
    const scale = probes.reduce((a, probe) => Math.max(a, Math.abs(probe[3])), 0);
    for (const [n, h, w, v] of probes) note("guided", Math.abs(data.guided[c].values[(n * H + h) * W + w] * maths.pixel(L, I, J, H, W, h, w).value - v), scale);
  });
  return { worst, rounding };
}

function selfCheck(damaged) {
  const { worst, rounding } = identities(damaged), names = Object.keys(worst), badge = document.getElementById("badge");
  checked = { worst, rounding, failed: names.filter((name) => !(worst[name] <= LIMIT)) };
  names.forEach((name) => badge.setAttribute("data-err-" + name, worst[name]));
  tellCheck();
}

let checked;

function tellCheck() {
  const { worst, rounding, failed } = checked, names = Object.keys(worst), badge = document.getElementById("badge");
  badge.className = failed.length ? "bad" : "good";
  badge.textContent = failed.length
    ? "✗ " + say("check.failed", { which: failed.map((name) => say("check." + name)).join("; ") })
    : "✓ " + say("check.passed", { count: names.length, error: small(Math.max(...Object.values(worst))) });
  const rows = names.map((name) => {
    const row = element("tr");
    row.append(element("td", worst[name] <= LIMIT ? "✓" : "✗"), element("td", say("check." + name)), element("td", small(worst[name]), { className: "n" }));
    return row;
  });
  if (rounding !== null) {
    const row = element("tr");
    row.append(element("td", "i"), element("td", say("check.rounding", { error: small(rounding) })), element("td", ""));
    rows.push(row);
  }
  document.querySelector("#checks tbody").replaceChildren(...rows);
}
