/** A network that `cnn_tf.save_network` has written: checked, and computed layer by layer. */

import {
  activations,
  correlate,
  dense,
  outputSize,
  pair,
  pool2d,
  sides,
  tensor,
} from "./arithmetic.js";
import { unpack } from "./packed.js";

/** @typedef {import("./arithmetic.js").Tensor} Tensor */
/** @typedef {import("./arithmetic.js").Pair} Pair */
/** @typedef {[number, number, number]} Shape Height, width and channels. */
/** @typedef {[number, number, number]} Spot A channel, a row and a column. */
/** @typedef {{scale: number, offset: number}} Rescaling */
/** @typedef {{sums: Tensor, result: Tensor}} Stage A result, before and after activation. */
/** @typedef {(fits: boolean, wanted: string, received: string) => void} Expect */

/**
 * A layer with the activations behind it. A dense layer is a convolution whose window is its whole
 * input, and its units are channels of 1 x 1. So "flatten" only says where dense layers may begin:
 * it changes no number, and not their order.
 * @typedef {object} Layer
 * @property {"conv" | "dense" | "pool" | "activation" | "rescaling"} kind
 * @property {string} name
 * @property {Shape} from Of its input.
 * @property {Shape} shape Of its output.
 * @property {Pair} size Of its window.
 * @property {Pair} strides
 * @property {[Pair, Pair]} padding
 * @property {Tensor} kernel (k_h, k_w, c_i, c_o)
 * @property {Tensor} bias (c_o)
 * @property {"max" | "avg"} mode
 * @property {Rescaling} rescaling
 * @property {(keyof typeof activations)[]} functions
 */

export const SIDE = 28;

const KINDS = ["rescaling", "conv", "dense", "pool", "flatten", ...Object.keys(activations)];

const ADVICE = "Write the file with cnn_tf.save_network(model, path).";

/** More cells around an image, or numbers in one result, would only stop the page. */
const MOST = { padding: 64, numbers: 4e6 };

const PADDINGS =
  `padding "valid", "same", a number of cells, one for rows and one for columns, or ` +
  `[[top, bottom], [left, right]], up to ${MOST.padding}`;

// --- Reading a file ------------------------------------------------------------------------------

/**
 * What a file holds that a reader has chosen.
 * @param {File} file
 * @returns {Promise<any>}
 */
export async function contentOf(file) {
  try {
    return JSON.parse(await file.text());
  } catch {
    throw new TypeError(`“${file.name}” is no JSON file. ${ADVICE}`);
  }
}

/**
 * The layers of a network for pictures of 28 x 28.
 * @param {any} file What `cnn_tf.save_network` has written.
 * @param {number} outputs How many classes there are.
 * @returns {Layer[]}
 */
export function network(file, outputs) {
  const steps = file?.layers;
  if (!Array.isArray(steps) || !steps.length) {
    throw new TypeError(
      `Expected a network, {"layers": [...]}. Received: ${told(file)}. ${ADVICE}`,
    );
  }
  /** @type {Layer[]} */
  const layers = [];
  /** @type {Shape} */
  let shape = [SIDE, SIDE, 1];
  let flat = false;
  steps.forEach((step, i) => {
    const name = typeof step?.name === "string" ? step.name.slice(0, 40) : "";
    const expect = expecting(`Layer ${i + 1}${name && ` (“${name}”)`}`);
    const kind = step?.kind;
    expect(KINDS.includes(kind), `kind to be one of ${KINDS.join(", ")}`, told(kind ?? step));
    const maps = kind === "conv" || kind === "pool";
    expect(!flat || !maps, "dense layers or activations behind flatten", told(kind));
    expect(flat || kind !== "dense", "flatten before the first dense layer", told(kind));
    expect(kind !== "rescaling" || i === 0, "rescaling as the first layer only", told(kind));
    if (kind === "flatten") {
      flat = true;
    } else if (kind in activations && layers.length) {
      /** @type {Layer} */ (layers.at(-1)).functions.push(kind);
    } else {
      const layer = { ...read(step, shape, expect), name: name || `${kind} ${i + 1}` };
      const [h, w, channels] = shape = layer.shape;
      expect(h > 0 && w > 0, `a window that fits ${times(layer.from)}`, times(layer.size));
      const numbers = h * w * channels;
      expect(numbers <= MOST.numbers, `at most ${MOST.numbers} numbers`, String(numbers));
      layers.push(layer);
    }
    const count = shape.reduce((product, n) => product * n);
    expect(
      i < steps.length - 1 || (layers.length > 0 && count === outputs),
      `${outputs} outputs at the end, one for each class`,
      String(count),
    );
  });
  return layers;
}

/**
 * Refuse a network whose numbers are not finite.
 * @param {Layer[]} layers
 * @param {Stage[]} stages What they make of some picture.
 */
export function checkFinite(layers, stages) {
  stages.forEach(({ result }, i) => {
    const wrong = result.data.find((x) => !Number.isFinite(x));
    const expect = expecting(`Layer “${layers[i].name}”`);
    expect(wrong === undefined, "weights that keep all numbers finite", String(wrong));
  });
}

/**
 * @param {string} place
 * @returns {Expect}
 */
function expecting(place) {
  return (fits, wanted, received) => {
    if (fits) return;
    throw new TypeError(`${place}: expected ${wanted}. Received: ${received}. ${ADVICE}`);
  };
}

/**
 * @param {any} step
 * @param {Shape} from
 * @param {Expect} expect
 * @returns {Layer}
 */
function read(step, from, expect) {
  const [h, w, channels] = from;
  /** @type {Layer} */
  const layer = {
    kind: step.kind,
    name: "",
    from,
    shape: from,
    size: [1, 1],
    strides: [1, 1],
    padding: [[0, 0], [0, 0]],
    kernel: tensor([0]),
    bias: tensor([0]),
    mode: "max",
    rescaling: { scale: 1, offset: 0 },
    functions: [],
  };
  if (step.kind in activations) return { ...layer, kind: "activation", functions: [step.kind] };
  if (step.kind === "rescaling") {
    const { scale, offset } = step;
    expect(
      [scale, offset].every(Number.isFinite),
      "a finite scale and offset",
      told({ scale, offset }),
    );
    return { ...layer, rescaling: { scale, offset } };
  }
  if (step.kind === "dense") {
    const n = h * w * channels;
    const { data, shape: [, m] } = weights(step.kernel, "a kernel", [n, "units"], expect);
    layer.kernel = tensor([h, w, channels, m], data);
    layer.bias = weights(step.bias, "a bias", [m], expect);
    return { ...layer, size: [h, w], shape: [1, 1, m] };
  }
  let filters = channels;
  if (step.kind === "conv") {
    layer.kernel = weights(step.kernel, "a kernel", ["h", "w", channels, "filters"], expect);
    const [kH, kW, , cO] = layer.kernel.shape;
    layer.bias = weights(step.bias, "a bias", [cO], expect);
    layer.size = [kH, kW];
    filters = cO;
  } else {
    const { mode } = step;
    expect(mode === "max" || mode === "avg", 'mode "max" or "avg"', told(mode));
    layer.mode = mode;
    layer.size = counts(step.pool_size, "pool_size", expect);
  }
  layer.strides = counts(step.strides, "strides", expect);
  const { padding } = step;
  expect(isPadding(padding), PADDINGS, told(padding));
  layer.padding = sides([h, w], layer.size, padding, layer.strides);
  if (step.kind === "pool" && padding !== "same") {
    // Such a window could hold no pixel at all.
    const less = layer.padding.every((side, axis) => side.every((n) => n < layer.size[axis]));
    expect(less, `padding smaller than the window, ${times(layer.size)}`, told(padding));
  }
  const [outH, outW] = from.slice(0, 2).map((n, axis) =>
    outputSize(n, layer.size[axis], layer.padding[axis], layer.strides[axis])
  );
  return { ...layer, shape: [outH, outW, filters] };
}

/**
 * Weights of a shape in which a word stands for any size.
 * @param {any} packed
 * @param {string} what
 * @param {(number | string)[]} wanted
 * @param {Expect} expect
 * @returns {Tensor}
 */
function weights(packed, what, wanted, expect) {
  const words = `${what} of shape (${wanted.join(", ")}${wanted.length === 1 ? "," : ""})`;
  expect(packed !== null && typeof packed === "object", words, told(packed));
  const { dtype, shape, base64 } = packed;
  expect(dtype === "float32", `${what} of dtype "float32"`, told(dtype));
  const fits = Array.isArray(shape) && shape.length === wanted.length &&
    shape.every((n, axis) =>
      isCount(n) && (typeof wanted[axis] === "string" || n === wanted[axis])
    );
  expect(fits, words, `shape ${told(shape)}`);
  const bytes =
    shape.reduce((/** @type {number} */ product, /** @type {number} */ n) => product * n) * 4;
  const found = byteCount(base64);
  expect(
    found === bytes,
    `${what} of ${bytes} bytes in base64, 4 for each number of shape ${told(shape)}`,
    found === undefined ? told(base64) : `${found} bytes`,
  );
  const array = unpack(packed);
  const wrong = array.data.find((x) => !Number.isFinite(x));
  expect(wrong === undefined, `${what} of finite numbers`, String(wrong));
  return array;
}

/**
 * How many bytes a text in base64 holds, undefined if it is none.
 * @param {any} text
 */
function byteCount(text) {
  if (typeof text !== "string") return undefined;
  try {
    return atob(text).length;
  } catch {
    return undefined;
  }
}

/** @param {any} n */
function isCount(n) {
  return Number.isSafeInteger(n) && n > 0;
}

/**
 * A positive integer for each axis.
 * @param {any} value
 * @param {string} what
 * @param {Expect} expect
 * @returns {Pair}
 */
function counts(value, what, expect) {
  const both = pair(value);
  const fits = Array.isArray(both) && both.length === 2 && both.every(isCount);
  expect(fits, `${what} to be two positive integers`, told(value));
  return both;
}

/** @param {any} padding */
function isPadding(padding) {
  const cells = (/** @type {any} */ n) => Number.isInteger(n) && n >= 0 && n <= MOST.padding;
  const two = (/** @type {any} */ it, /** @type {(part: any) => boolean} */ fits) =>
    Array.isArray(it) && it.length === 2 && it.every(fits);
  return padding === "valid" || padding === "same" || cells(padding) ||
    two(padding, (side) => cells(side) || two(side, cells));
}

/**
 * What came, for a message.
 * @param {any} value
 */
function told(value) {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** @param {number[]} sizes */
export function times(sizes) {
  return sizes.slice(0, 2).join(" × ");
}

// --- Computing -----------------------------------------------------------------------------------

/**
 * What each layer makes of a picture; the last result holds the logits.
 * @param {Layer[]} layers
 * @param {Tensor} picture (28, 28, 1)
 * @returns {Stage[]}
 */
export function forward(layers, picture) {
  let X = picture;
  return layers.map((layer) => {
    const sums = apply(layer, X);
    X = sums;
    for (const name of layer.functions) X = tensor(X.shape, X.data.map(activations[name]));
    return { sums, result: X };
  });
}

/**
 * @param {Layer} layer
 * @param {Tensor} X
 * @returns {Tensor}
 */
function apply({ kind, shape, kernel, bias, size, strides, padding, mode, rescaling }, X) {
  if (kind === "conv") return correlate(X, kernel, { strides, padding, bias: bias.data });
  if (kind === "pool") return pool2d(X, size, mode, { strides, padding });
  if (kind === "activation") return X;
  if (kind === "rescaling") {
    const { scale, offset } = rescaling;
    return tensor(X.shape, Float64Array.from(X.data, (x) => scale * x + offset));
  }
  const W = tensor([X.data.length, shape[2]], kernel.data);
  return tensor(shape, dense(X.data, W, bias.data));
}

// --- From a pixel to those before and behind it --------------------------------------------------

/** @typedef {{top: number, left: number, height: number, width: number}} Window */

/**
 * Whether each output sees all channels, and not only its own.
 * @param {Layer} layer
 */
export function mixes({ kind }) {
  return kind === "conv" || kind === "dense";
}

/**
 * What an output sees of its input, padding included.
 * @param {Layer} layer
 * @param {number} row
 * @param {number} column
 * @returns {Window}
 */
export function seen({ size: [height, width], strides, padding }, row, column) {
  const top = row * strides[0] - padding[0][0];
  return { top, left: column * strides[1] - padding[1][0], height, width };
}

/**
 * The outputs that see a pixel of the input. There are none where the strides pass over it.
 * @param {Layer} layer
 * @param {number} row
 * @param {number} column
 * @returns {Window}
 */
export function fed({ size, strides, padding, shape }, row, column) {
  const [[top, bottom], [left, right]] = [row, column].map((at, axis) => {
    const padded = at + padding[axis][0];
    const first = Math.max(0, Math.ceil((padded - size[axis] + 1) / strides[axis]));
    return [first, Math.min(shape[axis] - 1, Math.floor(padded / strides[axis]))];
  });
  return { top, left, height: Math.max(0, bottom - top + 1), width: Math.max(0, right - left + 1) };
}

/**
 * What each pixel of a window adds to an output of a convolution or a dense layer.
 * @param {Layer} layer
 * @param {Tensor} X The layer's input.
 * @param {Spot} spot
 * @returns {{pixels: Tensor, weights: Tensor, products: Tensor}} (k_h, k_w, c_i); padding is zero.
 */
export function terms(layer, X, [channel, row, column]) {
  const [h, w, channels] = layer.from;
  const { top, left, height, width } = seen(layer, row, column);
  const [pixels, weights, products] = [0, 1, 2].map(() => tensor([height, width, channels]));
  const filters = layer.shape[2];
  for (let u = 0; u < height; u++) {
    for (let v = 0; v < width; v++) {
      const inside = top + u >= 0 && top + u < h && left + v >= 0 && left + v < w;
      for (let c = 0; c < channels; c++) {
        const at = (u * width + v) * channels + c;
        if (inside) pixels.data[at] = X.data[((top + u) * w + left + v) * channels + c];
        weights.data[at] = layer.kernel.data[at * filters + channel];
        products.data[at] = pixels.data[at] * weights.data[at];
      }
    }
  }
  return { pixels, weights, products };
}
