// What if: other weights, maps switched off, against the class, without the ReLU. Nothing here changes the record.

const off = new Set();

function sandboxMap() {
  const layer = layerNow(), [K, I, J] = layer.shape, Z = I * J, kind = document.getElementById("weights").value;
  const sign = document.getElementById("against").checked ? -1 : 1, c = state.c;
  if (kind === "cam" && !layer.head) return null;
  const weight = {
    mean: (place, k) => maths.alphaOf(layer, c, k),
    cells: (place, k, n) => layer.dA[c].values[place * Z + n],
    cam: (place, k) => layer.head.w.values[c * K + k],
  }[kind];
  const S = maths.sum(layer, (place, k, n) => (off.has(k) ? 0 : sign * weight(place, k, n)),
    kind === "mean" ? maths.remainder(layer, c)?.map((v) => sign * v) : null);
  return document.getElementById("rectify").checked ? maths.relu(S) : S;
}

function sandboxSays() {
  const values = sandboxMap(), layer = layerNow(), says = document.getElementById("sandbox-says");
  const toggle = document.getElementById("toggle");
  toggle.textContent = say(off.has(state.k) ? "sandbox.turn_on" : "sandbox.turn_off", { k: state.k });
  if (values === null) { says.textContent = say("sandbox.none"); return; }
  const plain = maths.relu(maths.signed(layer, state.c)), partial = layer.rest && document.getElementById("weights").value !== "mean";
  const difference = values.reduce((a, v, n) => Math.max(a, Math.abs(v - plain[n])), 0);
  says.textContent = say("sandbox.says", { i: state.i, j: state.j, value: number(values[cellNow()]), peak: number(maths.largest(values)),
    difference: number(difference), note: partial ? say("sandbox.partial", { kept: layer.kept.length }) : "" });
}

function prepareSandbox() {
  const field = document.getElementById("off");
  for (const id of ["weights", "against", "rectify"]) document.getElementById(id).addEventListener("change", show);
  field.addEventListener("change", () => {
    off.clear();
    field.value.split(/[\s,]+/).filter((text) => /^\d+$/.test(text)).forEach((text) => off.add(Number(text)));
    show();
  });
  document.getElementById("toggle").addEventListener("click", () => {
    if (!off.delete(state.k)) off.add(state.k);
    field.value = [...off].join(", ");
    show();
  });
  document.getElementById("reset").addEventListener("click", () => {
    off.clear();
    field.value = "";
    document.getElementById("weights").value = "mean";
    document.getElementById("against").checked = false;
    document.getElementById("rectify").checked = true;
    show();
  });
}
