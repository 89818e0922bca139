// Below a cell of A^k: rectifier, norm, sum, pooling and branch, down to a convolution's input patch times its kernel.

explain.A = () => {
  const layer = layerNow(), place = maths.place(layer, state.k), [, I, J] = layer.shape;
  if (place < 0) return { formula: say("why.absent", { k: state.k }), parts: [] };
  const lines = [`A^${state.k}_(${state.i},${state.j}) = ${number(layer.A.values[place * I * J + cellNow()])}`];
  const way = layer.behind.find((one) => one.channels.includes(state.k)), all = layer.behind.flatMap((one) => one.channels);
  if (!way) {
    if (all.length) lines.push(say("why.strongest", { list: all.join(", ") }));
    return { formula: lines.join("\n"), parts: all.length ? [ways(all)] : [] };
  }
  const among = way.channels.indexOf(state.k), last = way.steps.at(-1);
  let at = [state.i, state.j];
  way.steps.forEach((step, n) => {
    const below = way.steps[n + 1], y = number(valueOf(step.out, among, at));
    if (step.kind === "input") lines.push(say("why.input", { name: step.name, k: step.at[among], i: at[0], j: at[1], y }));
    if (!below) return;
    let line = `${step.kind}(${number(valueOf(below.out, among, at))}) = ${y}`;
    if (step.sign) line = `${step.more.map((x) => number(valueOf(x, among, at))).join(` ${step.sign} `)} = ${y}`;
    else if (step.kind === "BatchNorm2d") line = `${number(step.scale[among])} × ${number(valueOf(below.out, among, at))} + ${number(step.shift[among])} = ${y}`;
    else if (step.kind === "ReLU") line = `max(${number(valueOf(below.out, among, at))}, 0) = ${y}`;
    else if (step.kind === "Concat") line = say("why.concat", { k: step.at[among], of: below.at[among], name: below.name });
    else if (step.kind === "MaxPool2d") {
      const cells = inside(step.window, below.out, at), values = cells.map((cell) => valueOf(below.out, among, cell));
      at = cells[values.indexOf(Math.max(...values))];  // the first of the largest
      line = `max(${values.map(number).join(", ")}) = ${y}  → (${at.join(", ")})`;
    }
    lines.push(`${step.name}: ${line}`);
  });
  if (!way.conv) {
    if (last.kind !== "input") lines.push(say(last.kind === "Conv2d" ? "why.room" : "why.elsewhere", { name: last.name }));
    return { formula: lines.join("\n"), parts: [] };
  }
  const made = convolve(way.conv, among, ...at);
  lines.push(`${way.conv.name}: Σ w·x + b = ${number(made.sum)}`, say("why.float", { value: number(valueOf(last.out, among, at)) }));
  const rows = made.parts.slice(0, LISTED).map((part) => ({ cells: [String(part.source), part.value] }));
  const others = made.parts.slice(LISTED);
  if (others.length) rows.push({ cells: [say("term.rest", { count: others.length }), others.reduce((sum, part) => sum + part.value, 0)] });
  rows.push({ cells: [say("term.bias"), made.bias] }, total(say("term.total"), made.sum));
  const first = made.parts[0], about = element("p", say("why.conv", { source: first.source, part: number(first.value) }));
  return { formula: lines.join("\n"), parts: [listing([say("term.source"), say("term.value")], rows), about, patch(first)] };
};

// a number of a tensor (maps on the way, I, J)
const valueOf = (tensor, among, [i, j]) => tensor.values[(among * tensor.shape[1] + i) * tensor.shape[2] + j];

// the cells of a map that lie in the window of cell (i, j) of what slides over it
function inside({ kernel, stride, dilation, padding }, { shape }, [i, j]) {
  const cells = [];
  for (let u = 0; u < kernel[0]; u++) for (let v = 0; v < kernel[1]; v++) {
    const h = stride[0] * i + dilation[0] * u - padding[0], w = stride[1] * j + dilation[1] * v - padding[1];
    if (h >= 0 && h < shape[1] && w >= 0 && w < shape[2]) cells.push([h, w]);
  }
  return cells;
}

// for each input map of the group: sum over the window of kernel times input, largest first
function convolve(conv, among, i, j) {
  const [, C, U, V] = conv.weight.shape, [, H, W] = conv.x.shape, [top, left] = conv.padding, parts = [];
  for (let c = 0; c < C; c++) {
    const source = conv.per_group[among] * C + c, cells = [];
    let value = 0;
    for (let u = 0; u < U; u++) for (let v = 0; v < V; v++) {
      const h = conv.stride[0] * i + conv.dilation[0] * u - top, w = conv.stride[1] * j + conv.dilation[1] * v - left;
      const x = h >= 0 && h < H && w >= 0 && w < W ? conv.x.values[(source * H + h) * W + w] : 0;
      const k = conv.weight.values[((among * C + c) * U + u) * V + v];
      value += k * x;
      cells.push({ x, k });
    }
    parts.push({ source, value, cells, V });
  }
  const sum = parts.reduce((sum, part) => sum + part.value, 0) + conv.bias[among];
  parts.sort((p, q) => Math.abs(q.value) - Math.abs(p.value) || p.source - q.source);
  return { parts, bias: conv.bias[among], sum };
}

function patch(part) {
  const table = element("table", undefined, { className: "patch" });
  for (let n = 0; n < part.cells.length; n += part.V) {
    const row = element("tr");
    part.cells.slice(n, n + part.V).forEach(({ x, k }) => row.append(element("td", `${number(x)} × ${number(k)}`, { className: "n" })));
    table.append(row);
  }
  return table;
}

// buttons to the maps whose way down is in the file
function ways(channels, open = "A") {
  const box = element("p");
  channels.forEach((k) => {
    const button = element("button", k_(k), { type: "button" });
    button.addEventListener("click", () => choose({ k, open }));
    box.append(button, " ");
  });
  return box;
}
