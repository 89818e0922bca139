// Maps of cells and pictures of pixels that can be clicked and walked through with the keyboard.

const element = (kind, text, kinds = {}) => Object.assign(document.createElement(kind), text === undefined ? {} : { textContent: text }, kinds);

// colour of a number: 0..1 in turbo, -1..1 in blue, white, red
function colour(value, largest, signed) {
  const table = signed ? data.tables.signed : data.tables.turbo, last = table.length / 3 - 1;
  const unit = largest > 0 ? value / largest : 0;
  const n = 3 * maths.rint(Math.min(Math.max(signed ? (unit + 1) / 2 : unit, 0), 1) * last);
  return [table[n], table[n + 1], table[n + 2]];
}

// the power of ten in which a map's numbers are short, and two digits of such a number
const power = (largest) => (largest > 0 && (largest < 0.1 || largest >= 1000) ? Math.floor(Math.log10(largest)) : 0);
function tiny(v) {
  const two = Number(v.toPrecision(2)), text = Math.abs(v) < 0.1 ? v.toFixed(2) : String(two);
  return v === 0 ? "0" : text.replace("-", "−");
}

function paint(canvas, values, J, signed, largest = maths.largest(values)) {
  const I = values.length / J, image = new ImageData(J, I);
  values.forEach((v, n) => image.data.set([...colour(v, largest, signed), 255], 4 * n));
  canvas.width = J; canvas.height = I;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

class MapView extends Grid {
  constructor(host, kind, values, signed) {
    super(host, () => layerNow().shape.slice(1), () => [state.i, state.j],
      (i, j, replace, open) => choose({ i, j, ...(open ? { open: kind } : {}) }, replace), () => choose({ open: kind }));
    Object.assign(this, { kind, values, signed });
    this.table = element("details");
    this.table.append(this.summary = element("summary"));
    this.table.addEventListener("toggle", () => this.list());
    host.append(this.table);
  }

  show() {
    const values = this.values(), [, I, J] = layerNow().shape;
    this.summary.textContent = say("table");
    this.host.hidden = values === null;
    if (values === null) return;
    const name = say("map." + this.kind, { k: state.k }), signed = this.signed();
    const largest = maths.largest(values), scale = Math.max(1, Math.floor(384 * 2 / J));
    const one = document.createElement("canvas"), canvas = this.canvas, pen = canvas.getContext("2d");
    paint(one, values, J, signed, largest);
    canvas.width = J * scale; canvas.height = I * scale;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(one, 0, 0, J * scale, I * scale);
    const ten = J <= 14 ? power(largest) : 0;
    if (J <= 14) this.digits(pen, values, J, scale, largest, signed, 10 ** ten);
    this.legend.replaceChildren(...[signed ? -largest : 0, 0, largest].slice(signed ? 0 : 1).map((v) => element("span", number(v))));
    if (ten) this.legend.append(element("span", say("map.unit", { ten: String(ten).replace("-", "−") })));
    this.tell(name, say("cell.at", { i: state.i, j: state.j, value: number(values[cellNow()]) }));
    this.list();
  }

  digits(pen, values, J, scale, largest, signed, unit) {
    pen.font = `${Math.floor(scale / (J > 8 ? 2.9 : 3.6))}px sans-serif`; pen.textAlign = "center"; pen.textBaseline = "middle";
    values.forEach((v, n) => {
      const [r, g, b] = colour(v, largest, signed).map((level) => ((level / 255) ** 2.2));
      pen.fillStyle = 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000" : "#fff";
      pen.fillText(J > 8 ? tiny(v / unit).replace("0.", ".") : tiny(v / unit), (n % J + 0.5) * scale, (Math.floor(n / J) + 0.5) * scale, scale * 0.95);
    });
  }

  list() {
    this.table.querySelector("div")?.remove();
    if (!this.table.open) return;
    const values = this.values(), [, I, J] = layerNow().shape, table = element("table");
    for (let i = 0; i < I; i++) {
      const row = element("tr");
      row.append(element("th", String(i), { scope: "row" }));
      for (let j = 0; j < J; j++) row.append(element("td", number(values[i * J + j]), { className: "n" }));
      table.append(row);
    }
    const box = element("div", undefined, { className: "scroll", tabIndex: 0 });
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", say("map." + this.kind, { k: state.k }));
    box.append(table);
    this.table.append(box);
  }
}

class PixelView extends Grid {
  constructor(host, kind, draw, value) {
    super(host, () => data.size, () => [state.h, state.w],
      (h, w, replace, open) => choose({ h, w, ...this.cell(h, w), ...(open ? { open: kind } : {}) }, replace), () => choose({ open: kind }));
    Object.assign(this, { kind, draw, value });
  }

  cell(h, w) {  // the cell under a pixel
    const [, I, J] = layerNow().shape, [H, W] = data.size;
    return { i: Math.floor(h * I / H), j: Math.floor(w * J / W) };
  }

  show() {
    const drawn = this.draw(), [H, W] = data.size;
    this.host.hidden = drawn === null;
    if (drawn === null) return;
    const scale = Math.max(1, Math.floor(480 / W)), pen = this.canvas.getContext("2d"), one = document.createElement("canvas");
    one.width = W; one.height = H;
    one.getContext("2d").putImageData(drawn, 0, 0);
    this.canvas.width = W * scale; this.canvas.height = H * scale;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(one, 0, 0, W * scale, H * scale);
    const size = Math.max(scale, W * scale / 40), x = (state.w + 0.5) * scale, y = (state.h + 0.5) * scale;
    for (const [width, ink] of [[4, "#000"], [2, "#fff"]]) {
      pen.lineWidth = width; pen.strokeStyle = ink; pen.beginPath();
      pen.moveTo(x - size, y); pen.lineTo(x + size, y); pen.moveTo(x, y - size); pen.lineTo(x, y + size); pen.stroke();
    }
    this.tell(say("pixels." + this.kind), say("pixel.at", { i: state.h, j: state.w, value: this.value() }));
  }
}
