// Everything together: the panels' views, the controls, and one function that shows the chosen state everywhere.

let views = [];

const mapOf = (name) => {  // values of the chosen map k
  const layer = layerNow(), place = maths.place(layer, state.k), Z = layer.shape[1] * layer.shape[2];
  if (place < 0) return null;
  return (name === "A" ? layer.A : layer.dA[state.c]).values.subarray(place * Z, (place + 1) * Z);
};
const hasSigns = (values) => values !== null && values.some((v) => v < 0);
function prepareViews() {
  const weighted = () => mapOf("A")?.map((v) => maths.alphaOf(layerNow(), state.c, state.k) * v) ?? null;
  const signed = () => maths.signed(layerNow(), state.c), cam = () => maths.relu(signed());
  const maps = {
    A: [() => mapOf("A"), () => hasSigns(mapOf("A"))], dA: [() => mapOf("dA"), () => true], weighted: [weighted, () => true],
    sum: [signed, () => true], relu: [cam, () => false], sandbox: [sandboxMap, () => hasSigns(sandboxMap())],
  };
  const pixels = {
    upsample: () => coloured(large(cam()), false, 1).image, overlay: overlayImage, guided: guidedImage,
    sandbox: () => { const values = sandboxMap(); return values && coloured(large(values), hasSigns(values), 0.5).image; },
  };
  const levels = (paintOf) => paintOf.map((level) => number(level)).join(", ");
  const values = {
    upsample: () => number(pixelNow().value), sandbox: () => { const map = sandboxMap(); return map ? number(pixelOf(map).value) : ""; },
    overlay: () => levels(overlayAt(state.h, state.w)),
    guided: () => levels(guidedAt(state.h, state.w)),
  };
  views = [...document.querySelectorAll("[data-map]")].map((host) => new MapView(host, host.dataset.map, ...maps[host.dataset.map]));
  views.push(...[...document.querySelectorAll("[data-pixels]")].map((host) => new PixelView(host, host.dataset.pixels, pixels[host.dataset.pixels], values[host.dataset.pixels])));
}

function prepareControls() {
  const on = (id, event, act) => document.getElementById(id).addEventListener(event, act);
  document.getElementById("class").append(...data.classes.map((c, n) => element("option", `${c.label} (${c.index})`, { value: n })));
  document.getElementById("layer").append(...data.layers.map((l, n) => element("option", l.name, { value: n })));
  on("class", "change", (e) => choose({ c: Number(e.target.value) }));
  on("layer", "change", (e) => choose({ l: Number(e.target.value) }));
  for (const [id, name, axis] of [["channel", "k", 0], ["row", "i", 1], ["column", "j", 2]]) {
    on(id, "change", (e) => choose({ [name]: whole(e.target.value, 0, layerNow().shape[axis] - 1, state[name]) }));
  }
  on("opacity", "input", show);
  on("contour", "change", show);
  on("close", "click", close);
  document.querySelectorAll("[data-lang]").forEach((b) => b.addEventListener("click", () => choose({ lang: b.dataset.lang })));
  document.querySelectorAll("[data-open]").forEach((b) => b.addEventListener("click", () => choose({ open: b.dataset.open })));
  document.addEventListener("keydown", (e) => { if (e.key === "Escape" && state.open) close(); });
}

// What is chosen, for those who listen; a grid's own cell speaks for itself.
function announce() {
  const said = document.getElementById("said"), value = number(maths.signed(layerNow(), state.c)[cellNow()]);
  if (!document.activeElement.closest(".grid")) said.textContent = say("said", { ...state, label: data.classes[state.c].label, value });
}

let cameFrom = null;

function close() {
  choose({ open: "" });
  (cameFrom?.classList.contains("grid") ? cameFrom.querySelector(".cell") : cameFrom)?.focus();
}

function showWords() {
  document.documentElement.lang = state.lang;
  const { label, logit, probability } = data.classes[state.c];
  const filled = { ...data.filled, label, logit: Number(logit.toPrecision(4)), probability: Number(probability.toPrecision(4)) };
  document.querySelectorAll("[data-words]").forEach((e) => { e.textContent = say(e.dataset.words, filled); });
  document.querySelectorAll("[data-text]").forEach((e) => { if (words[e.dataset.text]) e.textContent = say(e.dataset.text, filled); });
  document.querySelectorAll("[data-label]").forEach((e) => e.setAttribute("aria-label", say(e.dataset.label)));
  document.querySelectorAll("[data-lang]").forEach((b) => b.setAttribute("aria-pressed", b.dataset.lang === state.lang));
}

function showControls() {
  const layer = layerNow();
  for (const [id, value, most] of [["channel", state.k, layer.shape[0]], ["row", state.i, layer.shape[1]], ["column", state.j, layer.shape[2]]]) {
    Object.assign(document.getElementById(id), { value, max: most - 1 });
  }
  document.getElementById("class").value = state.c;
  document.getElementById("layer").value = state.l;
}

function showGallery() {
  const layer = layerNow(), Z = layer.shape[1] * layer.shape[2], gallery = document.getElementById("gallery");
  gallery.replaceChildren(...layer.order.slice(0, 24).map((k) => {
    const button = element("button", undefined, { type: "button", title: `k = ${k}` }), canvas = element("canvas"), place = maths.place(layer, k);
    const values = layer.A.values.subarray(place * Z, (place + 1) * Z);
    paint(canvas, values, layer.shape[2], hasSigns(values));
    canvas.setAttribute("aria-hidden", "true");
    button.append(canvas, k_(k));
    button.setAttribute("aria-pressed", k === state.k);
    button.addEventListener("click", () => choose({ k, open: "A" }));
    return button;
  }));
  if (layer.rest) gallery.append(element("p", say("maps.kept", { kept: layer.kept.length, all: layer.shape[0] })));
}

function showBars() {
  const layer = layerNow(), K = layer.shape[0], host = document.getElementById("bars"), canvas = host.querySelector("canvas") ?? element("canvas");
  const width = Math.max(600, Math.min(K, 2400)), height = 160, pen = canvas.getContext("2d"), step = width / K;
  const alpha = Array.from({ length: K }, (_, k) => maths.alphaOf(layer, state.c, k)), most = maths.largest(alpha) || 1;
  canvas.width = width; canvas.height = height;
  const style = getComputedStyle(document.documentElement);
  alpha.forEach((a, k) => {
    pen.fillStyle = k === state.k ? style.getPropertyValue("--mark") : a > 0 ? "#b81224" : "#3b66c9";
    const tall = a / most * height / 2, wide = k === state.k ? Math.max(step, 4) : Math.max(step * 0.9, 0.8);
    pen.fillRect(k * step, height / 2 - Math.max(tall, 0), wide, Math.max(Math.abs(tall), 0.5));
  });
  const text = say("alpha.is", { k: state.k, value: number(alpha[state.k]) });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", text);
  canvas.onclick = (e) => choose({ k: Math.min(K - 1, Math.floor(e.offsetX / canvas.clientWidth * K)), open: "alpha" });
  if (!canvas.parentNode) host.append(canvas);
  document.querySelector('[data-open="alpha"]').textContent = text;
}

const TITLES = { A: "maps.title", dA: "gradients.title", logit: "head.logit", softmax: "head.probability" };
const untold = (text) => text.replace(/^\d+\. /, "");

function showArithmetic() {
  const [kind, at] = state.open.split("."), found = Object.hasOwn(explain, kind) ? explain[kind](at) : null;
  document.body.classList.toggle("open", found !== null);
  document.getElementById("arithmetic-title").textContent = found ? found.title ?? untold(say(TITLES[kind] ?? kind + ".title")) : say("arithmetic");
  document.getElementById("formula").textContent = found ? found.formula : say("arithmetic.empty");
  document.getElementById("terms").replaceChildren(...(found ? found.parts : []));
}

function showTables() {
  tables();
  const layer = layerNow(), S = maths.signed(layer, state.c), cut = S.filter((v) => v < 0).length;
  document.getElementById("empty").textContent = layer.notes[state.c];
  document.getElementById("cut").textContent = say("relu.cut", { cut, all: S.length });
  for (const rule of ["gradient", "deconvnet", "guided"]) {
    const image = document.querySelector(`[data-picture="${rule}"]`), source = data.pictures[rule]?.[state.c];
    if (source) image.src = source;
  }
  const product = data.pictures.products[state.c];  // in place of the signal that did not fit
  document.getElementById("product").hidden = !product;
  document.getElementById("product-only").textContent = product ? say("guided.absent") : "";
  if (product) document.querySelector('[data-picture="guided_grad_cam"]').src = product;
}

function show() {
  read();
  showWords(); showControls(); showGallery(); showBars(); showTables();
  views.forEach((view) => view.show());
  sandboxSays(); showInstances(); showArithmetic(); announce();
  if (checked) tellCheck();
}

async function pixelsOf(image) {
  await image.decode();
  const canvas = document.createElement("canvas"), [H, W] = data.size, pen = canvas.getContext("2d");
  canvas.width = W; canvas.height = H;
  pen.drawImage(image, 0, 0);
  return pen.getImageData(0, 0, W, H).data;
}

async function start() {
  data = JSON.parse(document.getElementById("npgradcam-data").textContent);
  words = data.words[data.lang];
  document.getElementById("badge").textContent = say("check.waiting");
  const damaged = await decodeAll(data);
  photograph = await pixelsOf(document.querySelector('[data-picture="input"]'));
  prepareViews(); prepareControls(); prepareSandbox();
  document.getElementById("controls").hidden = false;
  document.body.classList.add("ready");
  addEventListener("hashchange", show);
  document.addEventListener("click", (e) => { if (!e.target.closest("#arithmetic")) cameFrom = e.target.closest("button, .grid") ?? cameFrom; }, true);
  document.addEventListener("keydown", (e) => { if (["Enter", " "].includes(e.key) && !e.target.closest("#arithmetic")) cameFrom = e.target.closest(".grid") ?? e.target; }, true);
  show();
  document.querySelector('#network tr.chosen')?.parentNode.parentNode.parentNode.scrollTo(0, document.querySelector('#network tr.chosen').offsetTop - 150);
  selfCheck(damaged);
  document.body.dataset.ready = "1";
}

start().catch((error) => {  // say so, rather than leave half a page that looks whole
  const badge = document.getElementById("badge");
  badge.className = "bad";
  badge.textContent = `✗ ${error}`;
});
