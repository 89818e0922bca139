// From the text in the page back to the numbers that NumPy wrote: base64, gzip, little-endian floats, SHA-256.

const kinds = { "<f4": Float32Array, "<f8": Float64Array };

async function decode(tensor) {
  const packed = Uint8Array.from(atob(tensor.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();   // gzip's own checksum is verified here
  let whole = true;
  if (globalThis.crypto && crypto.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    whole = [...digest].map((b) => b.toString(16).padStart(2, "0")).join("") === tensor.sha256;
  }
  const values = new kinds[tensor.dtype](bytes);
  const count = tensor.shape.reduce((a, b) => a * b, 1);
  return { values, shape: tensor.shape, whole: whole && values.length === count };
}

// Replace every tensor in the data by its numbers; return the places of those that are not what was written.
async function decodeAll(data) {
  const damaged = [];
  async function walk(node, path) {
    if (node === null || typeof node !== "object") return node;
    if (node.encoding === "gzip+base64") {
      try {
        const tensor = await decode(node);
        if (!tensor.whole) damaged.push(path);
        return tensor;
      } catch { damaged.push(path); return { values: new Float64Array(node.shape.reduce((a, b) => a * b, 1)), shape: node.shape, whole: false }; }
    }
    const keys = Object.keys(node);
    const found = await Promise.all(keys.map((key) => walk(node[key], path ? path + "." + key : key)));
    keys.forEach((key, n) => { node[key] = found[n]; });
    return node;
  }
  await walk(data, "");
  return damaged;
}
