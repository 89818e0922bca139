// A picture of cells or pixels as a grid: the arrow keys move a focused cell, which says its place and its number.

class Grid {
  // `cells()` gives its size, `at()` the chosen place, `move(i, j, replace, open)` chooses, `open()` shows the arithmetic
  constructor(host, cells, at, move, open) {
    Object.assign(this, { host, cells, at, move, open });
    this.canvas = element("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.grid = element("div", undefined, { className: "grid" });
    this.row = element("div", undefined, { className: "row" });
    this.grid.setAttribute("role", "grid");
    this.row.setAttribute("role", "row");
    this.grid.append(this.canvas, this.row);
    this.legend = element("p", undefined, { className: "legend" });
    this.readout = element("p", "", { className: "readout" });
    this.readout.append(this.button = element("button", "", { type: "button", className: "number" }));
    this.button.addEventListener("click", () => this.open());
    host.append(this.grid, this.legend, this.readout);
    this.canvas.addEventListener("click", (event) => {
      const box = this.canvas.getBoundingClientRect(), [I, J] = this.cells();
      const clamp = (v, n) => Math.min(n - 1, Math.max(0, Math.floor(v * n)));
      this.focus();
      this.move(clamp((event.clientY - box.top) / box.height, I), clamp((event.clientX - box.left) / box.width, J), false, true);
    });
    this.grid.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const [I, J] = this.cells(), [i, j] = this.at(), far = Math.max(2, Math.round(I / 8));
    const to = { ArrowUp: [i - 1, j], ArrowDown: [i + 1, j], ArrowLeft: [i, j - 1], ArrowRight: [i, j + 1], PageUp: [i - far, j], PageDown: [i + far, j],
      Home: [event.ctrlKey ? 0 : i, 0], End: [event.ctrlKey ? I - 1 : i, J - 1] }[event.key];
    if (event.key === "Enter" || event.key === " ") this.open();
    else if (to) this.move(Math.min(I - 1, Math.max(0, to[0])), Math.min(J - 1, Math.max(0, to[1])), true);
    else return;
    event.preventDefault();
  }

  focus() { this.row.firstChild?.focus({ preventScroll: true }); }

  // Put the cell where it is chosen. It is a new one each time: readers announce what gets the focus, not what changes.
  tell(name, text) {
    const [I, J] = this.cells(), [i, j] = this.at(), had = this.grid.contains(document.activeElement);
    const cell = element("div", undefined, { className: I * J > 4096 ? "cell small" : "cell", tabIndex: 0 });
    cell.setAttribute("role", "gridcell");
    cell.setAttribute("aria-colindex", j + 1);
    cell.setAttribute("aria-label", text);
    Object.assign(cell.style, { left: `${100 * j / J}%`, top: `${100 * i / I}%`, width: `${100 / J}%`, height: `${100 / I}%` });
    this.row.setAttribute("aria-rowindex", i + 1);
    this.row.replaceChildren(cell);
    this.grid.setAttribute("aria-rowcount", I);
    this.grid.setAttribute("aria-colcount", J);
    this.grid.setAttribute("aria-label", `${name}; ${say("map.help")}`);
    this.button.textContent = text;
    if (had) this.focus();
  }
}
