// Where a number comes from: for each kind of number its formula with the numbers in it, and its terms as a table.

const LISTED = 10;
const k_ = (k) => `k = ${k}`;

// a table of terms: heads, and rows of text or numbers; a row may say which map it is, to go there
function listing(heads, rows) {
  const table = element("table"), top = element("tr");
  heads.forEach((head, n) => top.append(element("th", head, { scope: "col", className: n ? "n" : "" })));
  const head = element("thead"), body = element("tbody");
  head.append(top);
  table.append(head, body);
  for (const { cells, go, chosen } of rows) {
    const row = element("tr", undefined, { className: chosen ? "chosen" : "" });
    cells.forEach((cell, n) => {
      const place = element("td", undefined, { className: n ? "n" : "" });
      if (go && n === 0) {
        const button = element("button", cell, { type: "button" });
        button.addEventListener("click", () => choose(go));
        place.append(button);
      } else place.textContent = typeof cell === "number" ? number(cell) : cell;
      row.append(place);
    });
    body.append(row);
  }
  return table;
}

const total = (...cells) => ({ cells, chosen: true });

// of the chosen cell's sum: the largest terms of either sign, and how many others there are with what sum
function largestTerms(listed) {
  const layer = layerNow(), Z = layer.shape[1] * layer.shape[2], n = cellNow();
  const terms = layer.kept.map((k, place) => {
    const a = maths.alphaOf(layer, state.c, k), A = layer.A.values[place * Z + n];
    return { k, a, A, product: a * A };
  });
  const sorted = [...terms].sort((p, q) => q.product - p.product || p.k - q.k);
  const most = sorted.filter((t) => t.product > 0).slice(0, listed), least = sorted.filter((t) => t.product < 0).slice(-listed).reverse();
  const shown = new Set([...most, ...least]), others = terms.filter((t) => !shown.has(t)), dropped = maths.remainder(layer, state.c);
  return { terms, most, least, count: others.length + layer.shape[0] - layer.kept.length, value: maths.signed(layer, state.c)[n],
    rest: others.reduce((sum, t) => sum + t.product, 0) + (dropped ? dropped[n] : 0) };
}

const whatMeasured = (r) => say("why.measured", { plus: r.plus, minus: r.minus, h: number(r.h), measured: number(r.measured), error: small(r.error) });

// a row of the receipt: one cell, or a whole map
function receiptRow(r, ...more) {
  const what = r.i === null ? say("receipt.whole", { k: r.k }) : `${k_(r.k)} (${r.i}, ${r.j})`;
  return { cells: [what, ...more, r.measured, r.gradient, small(r.error)],
    go: r.i === null ? { k: r.k, open: "alpha" } : { k: r.k, i: r.i, j: r.j, open: "dA" } };
}

const explain = {
  alpha() {
    const layer = layerNow(), place = maths.place(layer, state.k), [, I, J] = layer.shape, Z = I * J, c = data.classes[state.c].index;
    const value = maths.alphaOf(layer, state.c, state.k);
    if (place < 0) return { formula: say("why.absent", { k: state.k }) + `\nα = ${number(value)}`, parts: [] };
    let sum = 0;
    const rows = Array.from({ length: Z }, (_, n) => {
      const g = layer.dA[state.c].values[place * Z + n];
      sum += g;
      return { cells: [`(${Math.floor(n / J)}, ${n % J})`, g, sum], chosen: n === cellNow() };
    });
    const measured = layer.receipt.find((r) => r.row === state.c && r.k === state.k && r.i === null);
    return { formula: `α^${c}_${state.k} = 1/Z · Σ = 1/${Z} · ${number(sum)} = ${number(sum / Z)}` + (measured ? "\n" + say("why.whole", { Z }) + " " + whatMeasured(measured) : ""),
      parts: [listing([say("term.cell"), "∂y/∂A", say("term.sum")], rows)] };
  },

  weighted() {
    const layer = layerNow(), place = maths.place(layer, state.k), Z = layer.shape[1] * layer.shape[2];
    if (place < 0) return { formula: say("why.absent", { k: state.k }), parts: [] };
    const a = maths.alphaOf(layer, state.c, state.k), A = layer.A.values[place * Z + cellNow()];
    return { formula: `α_${state.k} · A^${state.k}_(${state.i},${state.j}) = ${number(a)} × ${number(A)} = ${number(a * A)}`, parts: [] };
  },

  sum() {
    const { most, least, rest, count, value } = largestTerms(LISTED);
    const rows = [...most, ...least].map((t) => ({ cells: [k_(t.k), t.a, t.A, t.product], go: { k: t.k, open: "A" }, chosen: t.k === state.k }));
    if (count) rows.push({ cells: [say("term.rest", { count }), "", "", rest] });
    rows.push(total(say("term.total"), "", "", value));
    return { formula: `S_(${state.i},${state.j}) = Σ_k α_k A^k_(${state.i},${state.j}) = ${number(value)}`,
      parts: [listing([say("term.map"), "α", "A", say("term.product")], rows)] };
  },

  relu() {
    const value = maths.signed(layerNow(), state.c)[cellNow()];
    return { formula: `L_(${state.i},${state.j}) = max(${number(value)}, 0) = ${number(Math.max(value, 0))}`, parts: [] };
  },

  dA() {
    const layer = layerNow(), place = maths.place(layer, state.k), Z = layer.shape[1] * layer.shape[2], c = data.classes[state.c].index;
    if (place < 0) return { formula: say("why.absent", { k: state.k }), parts: [] };
    const g = layer.dA[state.c].values[place * Z + cellNow()];
    let formula = `∂y^${c}/∂A^${state.k}_(${state.i},${state.j}) = ${number(g)}\n`;
    if (layer.head) {
      const w = layer.head.w.values[state.c * layer.shape[0] + state.k];
      formula += `${say("why.head")}\n${number(w)} / ${Z} = ${number(w / Z)}`;
    } else formula += say("why.chain");
    const above = layer.head ? { lines: [], parts: [] } : chain(layer, place, g);
    formula = [formula, ...above.lines].join("\n");
    const measured = layer.receipt.find((r) => r.row === state.c && r.k === state.k && r.i === state.i && r.j === state.j);
    if (measured) formula += "\n" + whatMeasured(measured);
    const rows = layer.receipt.filter((r) => r.row === state.c).map((r) => ({ ...receiptRow(r), chosen: r === measured }));
    return { formula, parts: [...above.parts, ...(rows.length ? [listing([say("head.cell"), say("head.measured"), say("head.gradient"), say("head.error")], rows)] : [])] };
  },

  upsample() {
    const { value, r, q } = pixelNow(), L = maths.relu(maths.signed(layerNow(), state.c)), [, I, J] = layerNow().shape, [H, W] = data.size;
    const corners = [[r.below, q.below, (1 - r.t) * (1 - q.t)], [r.below, q.above, (1 - r.t) * q.t], [r.above, q.below, r.t * (1 - q.t)], [r.above, q.above, r.t * q.t]];
    const rows = corners.map(([i, j, weight]) => ({ cells: [`(${i}, ${j})`, weight, L[i * J + j], weight * L[i * J + j]], go: { i, j, open: "relu" } }));
    rows.push(total(say("term.total"), "", "", value));
    const peak = layerNow().peak[state.c];
    return { formula: `h: (${state.h} + ½) · ${I}/${H} − ½ = ${number(r.s)}\nw: (${state.w} + ½) · ${J}/${W} − ½ = ${number(q.s)}\n${number(value)} / ${number(peak)} = ${number(peak ? value / peak : 0)}`,
      parts: [listing([say("term.cell"), say("term.weight"), "L", say("term.product")], rows)] };
  },

  overlay() {
    const { value } = pixelNow(), peak = layerNow().peak[state.c], opacity = Number(document.getElementById("opacity").value);
    const paintOf = colour(value, peak, false), under = photographAt(state.h, state.w);
    const rows = ["R", "G", "B"].map((name, n) => {
      const mixed = (1 - opacity) * under[n] + opacity * paintOf[n];
      return { cells: [name, under[n], paintOf[n], mixed, maths.rint(mixed)] };
    });
    return { formula: `turbo(${number(peak ? value / peak : 0)})\n(1 − ${opacity}) · photo + ${opacity} · turbo`,
      parts: [listing(["", "photo", "turbo", "=", "0–255"], rows)] };
  },

  guided() {
    const signal = data.guided[state.c], { value } = pixelNow(), [H, W] = data.size;
    if (!signal) return { formula: "", parts: [] };
    const rows = Array.from({ length: signal.shape[0] }, (_, n) => {
      const s = signal.values[(n * H + state.h) * W + state.w];
      return { cells: [data.channels[n] ?? String(n), s, value, s * value] };
    });
    return { formula: `G_(${state.h},${state.w}) = guided · L`, parts: [listing(["", "guided", "L", say("term.product")], rows)] };
  },

  softmax() {
    const { largest, e, sum } = maths.softmax(data.logits.values), rows = data.top.map((p) => ({ cells: [p.label, p.logit, p.logit - largest, e[p.index], e[p.index] / sum] }));
    return { formula: `p = exp(y − ${number(largest)}) / Σ exp(y − ${number(largest)}),  Σ = ${number(sum)}`,
      parts: [listing([say("term.class"), "y", `y − ${number(largest)}`, "exp", "p"], rows)] };
  },

  logit() {
    const layer = layerNow(), chosen = data.classes[state.c], head = layer.head;
    if (!head) return { formula: `y^${chosen.index} = ${number(chosen.logit)}\n` + say("why.elsewhere", { name: data.output }), parts: [] };
    const K = layer.shape[0], terms = Array.from({ length: K }, (_, k) => ({ k, w: head.w.values[state.c * K + k], f: head.features.values[k] }));
    terms.forEach((t) => { t.product = t.w * t.f; });
    const sorted = [...terms].sort((p, q) => Math.abs(q.product) - Math.abs(p.product)), shown = sorted.slice(0, 2 * LISTED), others = sorted.slice(2 * LISTED);
    const rows = shown.map((t) => ({ cells: [k_(t.k), t.w, t.f, t.product], go: { k: t.k, open: "A" }, chosen: t.k === state.k }));
    if (others.length) rows.push({ cells: [say("term.rest", { count: others.length }), "", "", others.reduce((sum, t) => sum + t.product, 0)] });
    rows.push({ cells: [say("term.bias"), "", "", head.bias[state.c]] }, total(say("term.total"), "", "", head.logit[state.c]));
    return { formula: `y^${chosen.index} = Σ_k w_k · mean(A^k) + b = ${number(head.logit[state.c])}\n` + say("why.float", { value: number(chosen.logit) }),
      parts: [listing([say("term.map"), "w", "mean A", say("term.product")], rows)] };
  },

  sandbox: () => explain.sum(),

  // the sheet of a layer: `at` is its place in the network
  layer(at) {
    const node = /^\d+$/.test(at ?? "") ? data.network[at] : null;
    if (!node) return null;
    const rows = [[say("head.kind"), node.kind], [say("head.shape"), node.shape.join(" × ")], [say("head.parameters"), node.parameters.toLocaleString("en")],
      [say("head.range"), `${number(node.low)} … ${number(node.high)}`]];
    for (const [rule, most] of Object.entries(node.signals)) if (most) rows.push([`max |${rule}|`, most[state.c]]);
    return { title: node.name, formula: [node.equation, node.about].filter(Boolean).join("\n"), parts: [listing(["", node.name], rows.map((cells) => ({ cells })))] };
  },
};
