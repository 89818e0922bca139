// Every panel's equation again, with the chosen class c, map k, cell (i, j) and pixel in the place of the letters.

const MATHML = "http://www.w3.org/1998/Math/MathML";

function tag(name, children, kind) {
  const made = document.createElementNS(MATHML, name);
  made.append(...[children].flat());
  if (kind) made.setAttribute("class", kind);
  return made;
}

const letter = (text, kind) => tag("mi", text, kind), numeral = (v, kind) => tag("mn", typeof v === "number" ? number(v) : v, kind);
const sign = (text) => tag("mo", text), line = (...parts) => tag("mrow", parts);
const over = (above, below) => tag("mfrac", [above, below]), product = (a, b) => [a, sign("×"), b];

// the chosen things, each in its own colour
const K = () => numeral(String(state.k), "of-k"), C = () => numeral(String(data.classes[state.c].index), "of-c");
const IJ = () => tag("mrow", [numeral(String(state.i), "of-ij"), sign(","), numeral(String(state.j), "of-ij")]);
const HW = () => tag("mrow", [numeral(String(state.h)), sign(","), numeral(String(state.w))]);
const A = () => tag("msubsup", [letter("A"), IJ(), K()]), alpha = () => tag("msubsup", [letter("α"), K(), C()]);
const S = () => tag("msubsup", [letter("S"), IJ(), C()]), L = () => tag("msubsup", [letter("L"), IJ(), C()]);
const slope = () => over(line(sign("∂"), tag("msup", [letter("y"), C()])), line(sign("∂"), A()));
const signed = (v, first) => [...(first && v >= 0 ? [] : [sign(v < 0 ? "−" : "+")]), numeral(Math.abs(v))];

// a term with what it belongs to written under it
const term = (v, name, kind, first) => tag("munder", [line(...signed(v, first)), tag("mtext", name, kind)]);

// two numbers with as many decimals as their difference needs: 1001.37 − 1004.25, not 1000 − 1000
const apart = (a, b) => {
  const decimals = Math.min(20, Math.max(0, 3 - Math.floor(Math.log10(Math.abs(a - b) || 10))));
  return [a, b].map((v) => String(Number(v.toFixed(decimals))).replaceAll("-", "−"));
};

// each gives pieces; a line may break between two of them
const instances = {
  softmax() {
    if (!data.probabilities) return [];
    const { largest, e, sum } = maths.softmax(data.logits.values), at = data.classes[state.c].index, y = data.classes[state.c].logit;
    return [[tag("msup", [letter("p"), C()])], [sign("="), over(tag("msup", [letter("e"), line(numeral(apart(y, largest)[0]), sign("−"), numeral(apart(y, largest)[1]))]), numeral(brief(sum)))],
      [sign("="), over(numeral(brief(e[at])), numeral(brief(sum)))], [sign("="), numeral(e[at] / sum)]];
  },

  A: (a) => [[A()], [sign("="), numeral(a.A)]],

  dA(a) {
    const w = a.layer.head?.w.values[state.c * a.layer.shape[0] + state.k];
    return [[slope()], ...(w === undefined ? [] : [[sign("="), over(numeral(w), numeral(String(a.Z)))]]), [sign("="), numeral(a.g)]];
  },

  alpha(a) {
    const g = a.layer.dA[state.c].values.subarray(a.place * a.Z, (a.place + 1) * a.Z), J = a.layer.shape[2];
    const order = Array.from(g.keys()).sort((m, n) => Math.abs(g[n]) - Math.abs(g[m]) || m - n), listed = [...new Set([cellNow(), ...order.slice(0, 3)])].slice(0, 3);
    const pieces = listed.map((n, first) => [term(Number(g[n].toPrecision(3)), `${Math.floor(n / J)},${n % J}`, n === cellNow() ? "of-ij" : "", !first)]);
    return [[alpha()], [sign("="), over(numeral("1"), numeral(String(a.Z))), sign("("), ...pieces[0]], ...pieces.slice(1),
      [...(a.Z > 3 ? [sign("+"), sign("…")] : []), sign(")")], [sign("="), numeral(a.alpha)]];
  },

  weighted: (a) => [[alpha(), A()], [sign("="), ...product(numeral(a.alpha), numeral(a.A))], [sign("="), numeral(a.alpha * a.A)]],

  sum() {
    const { most, least, rest, count, value, terms } = largestTerms(2), listed = [...most, ...least];
    const own = terms.find((t) => t.k === state.k), extra = own && !listed.includes(own) ? [own] : [];
    const pieces = [...listed, ...extra].map((t, n) => [term(Number(t.product.toPrecision(3)), k_(t.k), t.k === state.k ? "of-k" : "", n === 0)]);
    const others = count - extra.length, left = rest - (extra.length ? own.product : 0);
    return [[S()], [sign("=")], ...pieces, ...(others > 0 ? [[term(Number(left.toPrecision(3)), say("term.rest", { count: others }), "", !pieces.length)]] : []), [sign("="), numeral(value)]];
  },

  relu() {
    const value = maths.signed(layerNow(), state.c)[cellNow()];
    return [[L()], [sign("="), letter("max"), sign("("), numeral(value), sign(","), numeral("0"), sign(")")], [sign("="), numeral(Math.max(value, 0))]];
  },

  upsample() {
    const { r, q } = pixelNow(), [, I, J] = layerNow().shape, [H, W] = data.size;
    const along = (name, pixel, cells, pixels, s) => [[tag("msub", [letter("s"), letter(name)]), sign("="), sign("("), numeral(String(pixel)), sign("+"), over(numeral("1"), numeral("2")), sign(")")],
      [over(numeral(String(cells)), numeral(String(pixels))), sign("−"), over(numeral("1"), numeral("2"))], [sign("="), numeral(brief(s))]];
    return [...along("h", state.h, I, H, r.s), ...along("w", state.w, J, W, q.s)];
  },

  overlay() {
    const { value } = pixelNow(), peak = layerNow().peak[state.c], opacity = Number(document.getElementById("opacity").value);
    const below = photographAt(state.h, state.w)[0], paintOf = colour(value, peak, false)[0];
    return [[tag("msub", [letter("R"), HW()])], [sign("="), numeral(brief(1 - opacity)), sign("×"), numeral(String(below))], [sign("+"), numeral(brief(opacity)), sign("×"), numeral(String(paintOf))],
      [sign("="), numeral((1 - opacity) * below + opacity * paintOf)]];
  },

  guided() {
    const found = data.guided[state.c], { value } = pixelNow(), [H, W] = data.size;
    if (!found) return [];
    const s = found.values[state.h * W + state.w];
    return [[tag("msub", [letter("G"), HW()])], [sign("="), ...product(numeral(s), numeral(value))], [sign("="), numeral(s * value)]];
  },

  sandbox() {  // what is added now
    const kind = document.getElementById("weights").value, against = document.getElementById("against").checked;
    const k = () => letter("k", "of-k"), Ak = () => tag("msubsup", [letter("A"), IJ(), k()]);
    const weight = kind === "cells" ? over(line(sign("∂"), tag("msup", [letter("y"), C()])), line(sign("∂"), Ak())) : tag("msubsup", [letter(kind === "cam" ? "w" : "α"), k(), C()]);
    const terms = [...(against ? [sign("−")] : []), tag("munder", [sign("∑"), k()]), weight, Ak()];
    const values = sandboxMap(), total = values ? [[sign("="), numeral(values[cellNow()])]] : [];
    return document.getElementById("rectify").checked ? [[letter("max"), sign("("), ...terms, sign(","), numeral("0"), sign(")")], ...total] : [terms, ...total];
  },
};

function shown(piece) {
  const math = tag("math", line(...piece));
  math.setAttribute("displaystyle", "true");
  return math;
}

function showInstances() {
  const layer = layerNow(), place = maths.place(layer, state.k), Z = layer.shape[1] * layer.shape[2];
  const a = { layer, place, Z, alpha: maths.alphaOf(layer, state.c, state.k), A: layer.A.values[place * Z + cellNow()], g: layer.dA[state.c].values[place * Z + cellNow()] };
  document.querySelectorAll("[data-instance]").forEach((host) => {
    const kind = host.dataset.instance, absent = place < 0 && ["A", "dA", "alpha", "weighted"].includes(kind);
    const pieces = absent ? [] : instances[kind](a);
    host.replaceChildren(...(absent ? [say("why.absent", { k: state.k })] : pieces.flatMap((piece) => [shown(piece), " "])));
  });
}
