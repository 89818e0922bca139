// What is chosen: class, layer, map, cell, pixel, the open arithmetic and the language. All of it lives in the address.

const state = { c: 0, l: 0, k: 0, i: 0, j: 0, h: 0, w: 0, open: "", lang: "en" };
let data, words;

// a sentence; a network that labels pixels may have its own
const say = (key, values = {}) => ((data.pixels && words[key + ".pixels"]) || words[key]).replace(/\{(\w+)\}/g, (_, name) => values[name]);

function number(v) {
  if (v === 0 || Number.isNaN(v)) return String(Math.abs(v));
  const six = Number(v.toPrecision(6));
  return (Math.abs(v) >= 1e-4 && Math.abs(v) < 1e7 ? String(six) : six.toExponential()).replaceAll("-", "−");
}

const brief = (v) => number(Number(v.toPrecision(3)));
const small = (v) => (v === 0 ? "0" : v.toExponential(1).replace("-", "−"));

const layerNow = () => data.layers[state.l];
const cellNow = () => state.i * layerNow().shape[2] + state.j;

function hottest(layer, c) {
  const S = maths.signed(layer, c);
  let best = 0;
  S.forEach((v, n) => { if (v > S[best]) best = n; });
  return [Math.floor(best / layer.shape[2]), best % layer.shape[2]];
}

// the map that contributes most to a cell
function strongest(layer, c, n) {
  const Z = layer.shape[1] * layer.shape[2];
  let best = 0, most = -Infinity;
  layer.kept.forEach((k, place) => {
    const v = maths.alphaOf(layer, c, k) * layer.A.values[place * Z + n];
    if (v > most) { most = v; best = k; }
  });
  return best;
}

function whole(text, low, high, otherwise) {
  return /^\d+$/.test(text ?? "") && Number(text) >= low && Number(text) <= high ? Number(text) : otherwise;
}

function read() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const c = data.classes.findIndex((one) => String(one.index) === asked.get("c"));
  const l = data.layers.findIndex((one) => one.name === asked.get("l"));
  state.c = Math.max(c, 0);
  state.l = Math.max(l, 0);
  const layer = layerNow(), [K, I, J] = layer.shape, [H, W] = data.size, hot = hottest(layer, state.c);
  const ij = (asked.get("ij") ?? "").split(","), px = (asked.get("px") ?? "").split(",");
  state.i = whole(ij[0], 0, I - 1, hot[0]);
  state.j = whole(ij[1], 0, J - 1, hot[1]);
  state.k = whole(asked.get("k"), 0, K - 1, strongest(layer, state.c, cellNow()));
  state.h = whole(px[0], 0, H - 1, Math.min(H - 1, Math.floor((state.i + 0.5) * H / I)));
  state.w = whole(px[1], 0, W - 1, Math.min(W - 1, Math.floor((state.j + 0.5) * W / J)));
  state.open = asked.get("open") ?? "";
  state.lang = Object.hasOwn(data.words, asked.get("lang") ?? "") ? asked.get("lang") : data.lang;
  words = data.words[state.lang];
}

// Choose something; everything follows. `replace` leaves no step for the back button (moving with arrow keys).
function choose(change, replace = false) {
  const next = { ...state, ...change };
  if (("i" in change || "j" in change) && !("h" in change)) next.h = next.w = null;
  const pairs = { c: data.classes[next.c].index, l: data.layers[next.l].name, k: next.k, ij: `${next.i},${next.j}` };
  if ("c" in change || "l" in change) {
    if ("l" in change) { delete pairs.k; delete pairs.ij; next.h = null; }
  }
  if (next.h !== null) pairs.px = `${next.h},${next.w}`;
  if (next.open) pairs.open = next.open;
  if (next.lang !== data.lang) pairs.lang = next.lang;
  const hash = "#" + new URLSearchParams(pairs).toString().replaceAll("%2C", ",");
  if (hash === location.hash) return;
  if (replace) { history.replaceState(null, "", hash); show(); } else location.hash = hash;
}
