// Below a cell of A^k: rectifier, norm and sum, and the convolution's input patch times its kernel.

explain.A = () => {
  const layer = layerNow(), place = maths.place(layer, state.k), [, I, J] = layer.shape, n = cellNow(), back = layer.behind;
  if (place < 0) return { formula: say("why.absent", { k: state.k }), parts: [] };
  const lines = [`A^${state.k}_(${state.i},${state.j}) = ${number(layer.A.values[place * I * J + n])}`];
  const among = back ? back.channels.indexOf(state.k) : -1;
  if (among < 0) {
    if (back) lines.push(say("why.strongest", { list: back.channels.join(", ") }));
    return { formula: lines.join("\n"), parts: back ? [ways(back.channels)] : [] };
  }
  const at = (tensor) => tensor.values[among * I * J + n];
  back.steps.forEach((step, number_) => {
    const below = back.steps[number_ + 1];
    if (step.kind === "Conv2d") return;
    if (step.kind === "Add") lines.push(`${step.name}: ${step.more.map((x) => number(at(x))).join(" + ")} = ${number(at(step.out))}`);
    else if (step.kind === "BatchNorm2d" && below) lines.push(`${step.name}: ${number(step.scale[among])} × ${number(at(below.out))} + ${number(step.shift[among])} = ${number(at(step.out))}`);
    else if (step.kind === "ReLU" && below) lines.push(`${step.name}: max(${number(at(below.out))}, 0) = ${number(at(step.out))}`);
    else lines.push(`${step.name}: ${step.kind}(${below ? number(at(below.out)) : ""}) = ${number(at(step.out))}`);
  });
  if (!back.conv) {
    lines.push(say("why.elsewhere", { name: back.steps.at(-1).name }));
    return { formula: lines.join("\n"), parts: [] };
  }
  const made = convolve(back.conv, among, state.i, state.j);
  lines.push(`${back.conv.name}: Σ w·x + b = ${number(made.sum)}`, say("why.float", { value: number(at(back.steps.at(-1).out)) }));
  const rows = made.parts.slice(0, LISTED).map((part) => ({ cells: [String(part.source), part.value] }));
  const others = made.parts.slice(LISTED);
  if (others.length) rows.push({ cells: [say("term.rest", { count: others.length }), others.reduce((sum, part) => sum + part.value, 0)] });
  rows.push({ cells: [say("term.bias"), made.bias] }, total(say("term.total"), made.sum));
  const first = made.parts[0], about = element("p", say("why.conv", { source: first.source, part: number(first.value) }));
  return { formula: lines.join("\n"), parts: [listing([say("term.source"), say("term.sum").split(" ")[0]], rows), about, patch(first)] };
};

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
function ways(channels) {
  const box = element("p");
  channels.forEach((k) => {
    const button = element("button", k_(k), { type: "button" });
    button.addEventListener("click", () => choose({ k, open: "A" }));
    box.append(button, " ");
  });
  return box;
}
