// Tables that follow the chosen class, layer and language.

function fill(name, heads, rows) {
  document.querySelectorAll(`[data-table="${name}"]`).forEach((host) => host.replaceChildren(listing(heads, rows)));
}

function opener(host, text, open) {  // a number that can be clicked
  const button = element("button", text, { type: "button", className: "number" });
  button.addEventListener("click", () => choose({ open }));
  host.replaceChildren(button);
}

function tables() {
  const layer = layerNow(), chosen = data.classes[state.c];
  fill("predictions", [say("head.class"), say("head.rank"), say("head.logit"), say("head.probability")],
    data.top.map((p) => ({ cells: [`${p.label} (${p.index})`, String(p.rank), p.logit, p.probability], chosen: p.index === chosen.index })));
  document.querySelectorAll('[data-table="predictions"] tbody tr').forEach((row) => {
    if (row.className) opener(row.cells[2], row.cells[2].textContent, "logit");
    if (data.probabilities) opener(row.cells[3], row.cells[3].textContent, "softmax");
  });
  const rules = ["gradient", "deconvnet", "guided"];
  fill("network", [say("head.layer"), say("head.kind"), say("head.shape"), say("head.parameters"), say("head.range"), ...rules],
    data.network.map((n, at) => ({
      cells: [n.name, n.kind, n.shape.join(" × "), n.parameters.toLocaleString("en"), `${brief(n.low)} … ${brief(n.high)}`,
        ...rules.map((rule) => (n.signals[rule] ? brief(n.signals[rule][state.c]) : ""))],
      go: { open: "layer." + at }, chosen: n.name === layer.name })));
  fill("receipt", [say("head.cell"), "h", say("head.measured"), say("head.gradient"), say("head.error")],
    layer.receipt.filter((r) => r.row === state.c).map((r) => receiptRow(r, r.h)));
  fill("rules", [say("head.cell"), "x", "s", "slope", "gradient", "deconvnet", "guided"],
    layer.rules[state.c].map((r) => ({ cells: [`${r.layer}[${r.at.join(", ")}]`, r.x, r.signal, r.slope, r.passed.gradient, r.passed.deconvnet, r.passed.guided] })));
  fill("alpha", [say("term.map"), "α"], layer.order.slice(0, 12).map((k) => ({ cells: [k_(k), maths.alphaOf(layer, state.c, k)], go: { k, open: "alpha" }, chosen: k === state.k })));
  document.querySelector('[data-gallery="classes"]').replaceChildren(...(data.classes.length < 2 ? [] : data.classes.map((one, c) => {
    const button = element("button", undefined, { type: "button" });
    button.append(element("img", undefined, { src: data.pictures.layers[state.l][c], alt: "" }), one.label);
    button.setAttribute("aria-pressed", c === state.c);
    button.addEventListener("click", () => choose({ c }));
    return button;
  })));
  document.querySelector('[data-gallery="layers"]').replaceChildren(...data.layers.map((one, l) => {
    const button = element("button", undefined, { type: "button" });
    button.append(element("img", undefined, { src: data.pictures.layers[l][state.c], alt: "" }), `${one.name}, ${one.shape[1]} × ${one.shape[2]}`);
    button.setAttribute("aria-pressed", l === state.l);
    button.addEventListener("click", () => choose({ l }));
    return button;
  }));
}
