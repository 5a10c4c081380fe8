// The mini CLIP's text tower with MRS-Adapter, in plain loops. In Python: rsnb/mrs.py and open_clip's transformer.
// A sentence of n pieces is a table of n rows, each of 128 numbers (the stream), row after row in one array.
"use strict";

rsnb.tower = (() => {
  // ---- layers
  /** Every row of x times a matrix (outputs x inputs), plus a bias. Four sums at a time take half the time of one. */
  function linear(x, weight, bias) {
    const outputs = bias.length, inputs = weight.length / outputs, rows = x.length / inputs;
    const y = new Float32Array(rows * outputs);
    for (let row = 0; row < rows; row++) {
      for (let out = 0; out < outputs; out++) {
        let a = bias[out], b = 0, c = 0, d = 0;
        for (let k = 0, i = row * inputs, j = out * inputs; k < inputs; k += 4, i += 4, j += 4) {
          a += x[i] * weight[j];
          b += x[i + 1] * weight[j + 1];
          c += x[i + 2] * weight[j + 2];
          d += x[i + 3] * weight[j + 3];
        }
        y[row * outputs + out] = a + b + c + d;
      }
    }
    return y;
  }

  /** Every row to mean 0 and variance 1, then scaled and shifted. */
  function layerNorm(x, weight, bias) {
    const width = weight.length, y = new Float32Array(x.length);
    for (let start = 0; start < x.length; start += width) {
      const row = x.subarray(start, start + width);
      const mean = row.reduce((sum, value) => sum + value, 0) / width;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
      row.forEach((value, k) => { y[start + k] = (value - mean) / Math.sqrt(variance + 1e-5) * weight[k] + bias[k]; });
    }
    return y;
  }

  /** x times the probability that a standard normal number is smaller than x. */
  const gelu = (x) => x * (1 + erf(x / Math.SQRT2)) / 2;

  /** The error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26). */
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - sum * Math.exp(-x * x));
  }

  const add = (x, y) => x.map((value, k) => value + y[k]);

  // ---- attention
  /** Every row looks at the rows up to its own: queries, keys and values lie side by side in a row of qkv. */
  function attention(qkv, width, heads) {
    const rows = qkv.length / (3 * width), size = width / heads, mixed = new Float32Array(rows * width);
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const query = row * 3 * width + head * size;
        const weights = [];
        for (let other = 0; other <= row; other++) {
          const key = other * 3 * width + width + head * size;
          let product = 0;
          for (let k = 0; k < size; k++) product += qkv[query + k] * qkv[key + k];
          weights.push(product / Math.sqrt(size));
        }
        const shares = softmax(weights);
        for (let other = 0; other <= row; other++) {
          const value = other * 3 * width + 2 * width + head * size;
          for (let k = 0; k < size; k++) mixed[row * width + head * size + k] += shares[other] * qkv[value + k];
        }
      }
    }
    return mixed;
  }

  function softmax(numbers) {
    const most = Math.max(...numbers);
    const powers = numbers.map((number) => Math.exp(number - most));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }

  // ---- the adapter, one for all blocks
  /** Down, ReLU, up: the last outputs of a row come from the part that both towers share. */
  function adapter(x, { layer, width }) {
    const z = layer("adapter.down", x).map((value) => Math.max(value, 0));
    const own = layer("adapter.up", z), shared = layer("adapter.up_shared", z);
    const rows = x.length / width, wide = own.length / rows, narrow = shared.length / rows;
    const out = new Float32Array(x.length);
    for (let row = 0; row < rows; row++) {
      out.set(own.subarray(row * wide, (row + 1) * wide), row * (wide + narrow));
      out.set(shared.subarray(row * narrow, (row + 1) * narrow), row * (wide + narrow) + wide);
    }
    return out;
  }

  // ---- the tower
  /** One block: attention, then the MLP with the adapter beside it, its output times scale. */
  async function block(x, number, tower, scale) {
    const { tensors, layer, norm, width, heads } = tower, name = `transformer.resblocks.${number}`;
    const { [`${name}.attn.in_proj_weight`]: weight, [`${name}.attn.in_proj_bias`]: bias } = tensors;
    const mixed = attention(linear(norm(`${name}.ln_1`, x), weight, bias), width, heads);
    const x1 = add(x, layer(`${name}.attn.out_proj`, mixed));
    await rsnb.rest();
    const hidden = layer(`${name}.mlp.c_fc`, norm(`${name}.ln_2`, x1)).map(gelu);
    await rsnb.rest();
    const x2 = add(x1, layer(`${name}.mlp.c_proj`, hidden));
    await rsnb.rest();
    return scale ? add(x2, adapter(x1, tower).map((value) => scale * value)) : x2;
  }

  /**
   * The embedding of a sentence, of length 1: zero-shot CLIP at scale 0, with the adapter at scale 1. The page rests
   * between two layers; where stale() says so, nobody waits for the answer any more and it is null.
   */
  async function embed(ids, scale, tower, stale = () => false) {
    const { tensors, norm, width, blocks } = tower;
    let x = new Float32Array(ids.length * width);
    ids.forEach((id, row) => {
      for (let k = 0; k < width; k++) {
        x[row * width + k] = tensors["token_embedding.weight"][id * width + k]
          + tensors.positional_embedding[row * width + k];
      }
    });
    for (let number = 0; number < blocks; number++) {
      x = await block(x, number, tower, scale);
      if (stale()) return null;
    }
    const end = ids.indexOf(Math.max(...ids));  // the end mark has the largest number, and has seen the whole sentence
    const last = norm("ln_final", x).subarray(end * width);
    const projection = tensors.text_projection, size = projection.length / width;
    const out = new Float32Array(size);
    for (let k = 0; k < width; k++) for (let j = 0; j < size; j++) out[j] += last[k] * projection[k * size + j];
    const length = Math.hypot(...out);
    return out.map((value) => value / length);
  }

  /** The tower from its data (rsnb/publishing/live/weights.py). */
  async function unpack({ shapes, halves, heads }) {
    const numbers = await rsnb.halves(halves), tensors = {};
    let start = 0;
    for (const [name, shape] of Object.entries(shapes)) {
      const size = shape.reduce((a, b) => a * b, 1);
      tensors[name] = numbers.subarray(start, start += size);
    }
    return {
      tensors,
      heads,
      width: shapes["ln_final.weight"][0],
      blocks: Object.keys(shapes).filter((name) => name.endsWith("ln_1.weight")).length,
      layer: (name, x) => linear(x, tensors[`${name}.weight`], tensors[`${name}.bias`]),
      norm: (name, x) => layerNorm(x, tensors[`${name}.weight`], tensors[`${name}.bias`]),
    };
  }

  return { linear, layerNorm, gelu, attention, adapter, block, embed, unpack };
})();
