// Above a cell of A^k: what each node that reads the map pays back to the cell, by the chain rule.

function paidBack(node, among, map, shape, i, j) {
  const s = node.s[state.c], [, I, J] = s.shape;
  const signal = (o, h, w) => s.values[(o * I + h) * J + w];
  if (node.weight) {  // a convolution: every output cell whose window lies over (i, j)
    const [, O, U, V] = node.weight.shape, first = node.first[among], rows = [];
    for (let o = 0; o < O; o++) {
      let value = 0;
      under(node.window, [i, j], [I, J]).forEach(([h, w, u, v]) => { value += node.weight.values[((among * O + o) * U + u) * V + v] * signal(first + o, h, w); });
      rows.push({ source: first + o, value });
    }
    rows.sort((p, q) => Math.abs(q.value) - Math.abs(p.value) || p.source - q.source);
    return { value: rows.reduce((sum, row) => sum + row.value, 0), text: "Σ w · s", rows };
  }
  if (node.window) {  // a max pooling: the windows whose largest cell this is
    const won = under(node.window, [i, j], [I, J]).filter(([h, w]) => {
      const cells = inside(node.window, { shape }, [h, w]), values = cells.map(([a, b]) => map[a * shape[2] + b]);
      const [a, b] = cells[values.indexOf(Math.max(...values))];
      return a === i && b === j;
    });
    const value = won.reduce((sum, [h, w]) => sum + signal(among, h, w), 0);
    return { value, text: won.length ? say("chain.won", { cells: won.map(([h, w]) => `(${h}, ${w})`).join(", ") }) : say("chain.lost") };
  }
  const passed = signal(among, I > 1 ? i : 0, J > 1 ? j : 0), factor = node.slope ? node.slope.values[(among * I + i) * J + j] : node.factor[among];
  return { value: factor * passed, text: `${number(factor)} · ${number(passed)}` };
}

// the cells (h, w) of what comes out of a window that moves, and the place (u, v) in it, for which it lies over (i, j)
function under({ kernel, stride, dilation, padding }, [i, j], [I, J]) {
  const found = [];
  for (let u = 0; u < kernel[0]; u++) for (let v = 0; v < kernel[1]; v++) {
    const h = (i + padding[0] - dilation[0] * u) / stride[0], w = (j + padding[1] - dilation[1] * v) / stride[1];
    if (Number.isInteger(h) && Number.isInteger(w) && h >= 0 && h < I && w >= 0 && w < J) found.push([h, w, u, v]);
  }
  return found;
}

// the chosen cell's gradient as the sum of what is paid back: lines of text, and tables of a convolution's terms
function chain(layer, place, g) {
  const { channels, nodes, stops, room } = layer.above, among = channels.indexOf(state.k);
  if (stops) return { lines: [say(room ? "chain.stops" : "chain.room", { name: stops })], parts: [] };
  if (among < 0) return { lines: [say("chain.strongest")], parts: [ways(channels, "dA")] };
  const Z = layer.shape[1] * layer.shape[2], map = layer.A.values.subarray(place * Z, (place + 1) * Z);
  const paid = nodes.map((node) => ({ node, ...paidBack(node, among, map, layer.shape, state.i, state.j) }));
  const lines = paid.map(({ node, text, value }) => `${node.name} (${node.kind}): ${text} = ${number(value)}`);
  if (paid.length > 1) lines.push(`${say("term.total")}: ${number(paid.reduce((sum, one) => sum + one.value, 0))}`);
  lines.push(say("why.float", { value: number(g) }));
  const parts = paid.filter((one) => one.rows).map(({ rows, value }) => {
    const others = rows.slice(LISTED), shown = rows.slice(0, LISTED).map((row) => ({ cells: [String(row.source), row.value] }));
    if (others.length) shown.push({ cells: [say("term.rest", { count: others.length }), others.reduce((sum, row) => sum + row.value, 0)] });
    return listing([say("chain.output"), "Σ w · s"], [...shown, total(say("term.total"), value)]);
  });
  return { lines, parts };
}
