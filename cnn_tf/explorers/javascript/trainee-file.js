/** A trained LeNet as the file that `cnn_tf.save_network` writes, and the other way round. */

import { EPSILON } from "./gradients.js";
import { network } from "./network.js";
import { pack } from "./packed.js";
import { CLASSES } from "./trainable-lenet.js";

/** @typedef {import("./gradients.js").Parameter} Parameter */
/** @typedef {import("./network.js").Layer} Layer */
/** @typedef {import("./trainee.js").Choices} Choices */
/** @typedef {import("./trainee.js").Rescaling} Rescaling */

/** What each layer is, but for its activation: what `described` says of it. */
const LENET = {
  conv1: "conv 5 × 5 × 1 to 6, strides 1 × 1, padding 2,2,2,2",
  pool1: "pool 2 × 2, strides 2 × 2, padding 0,0,0,0",
  conv2: "conv 5 × 5 × 6 to 16, strides 1 × 1, padding 0,0,0,0",
  pool2: "pool 2 × 2, strides 2 × 2, padding 0,0,0,0",
  dense1: "dense 400 to 120",
  dense2: "dense 120 to 84",
  logits: "dense 84 to 10",
};

/**
 * @param {Choices} choices
 * @param {Parameter[]} parameters
 * @param {Rescaling | undefined} rescaling
 */
export function fileOf({ activation, pooling }, parameters, rescaling) {
  const weights = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  const layers = Object.keys(LENET).flatMap((name) => {
    if (name.startsWith("pool")) {
      const size = [2, 2];
      return [{
        name,
        kind: "pool",
        mode: pooling,
        pool_size: size,
        strides: size,
        padding: "valid",
      }];
    }
    const { kernel, bias, shape } = folded(name, weights);
    const packed = { kernel: pack(shape, kernel), bias: pack([bias.length], bias) };
    const dense = { name, ...packed, kind: "dense" };
    const padding = name === "conv1" ? "same" : "valid";
    const layer = shape.length === 4 ? { ...dense, kind: "conv", strides: [1, 1], padding } : dense;
    return [
      ...(name === "dense1" ? [{ name: "flatten", kind: "flatten" }] : []),
      layer,
      ...(name === "logits" ? [] : [{ name, kind: activation }]),
    ];
  });
  const first = rescaling ? [{ name: "rescaling", kind: "rescaling", ...rescaling }] : [];
  return { layers: [...first, ...layers] };
}

/**
 * Weights with the normalisation behind them, as it computes after training.
 * @param {string} name
 * @param {Map<string, Parameter>} weights
 */
function folded(name, weights) {
  const get = (/** @type {string} */ what) => weights.get(`${name}${what}`)?.value;
  const { value, shape } = /** @type {Parameter} */ (weights.get(`${name}/kernel`));
  const units = /** @type {number} */ (shape.at(-1));
  const gamma = get("_norm/gamma");
  if (!gamma) return { kernel: value, bias: get("/bias") ?? new Float32Array(units), shape };
  const [beta, mean, variance] = ["beta", "moving_mean", "moving_variance"].map((
    what,
  ) => /** @type {Float32Array} */ (get(`_norm/${what}`)));
  const scale = Float64Array.from(variance, (v, c) => gamma[c] / Math.sqrt(v + EPSILON));
  return {
    kernel: value.map((weight, i) => weight * scale[i % units]),
    bias: beta.map((shift, c) => shift - mean[c] * scale[c]),
    shape,
  };
}

/**
 * The weights of a LeNet, and the choices that the file decides.
 * @param {any} file
 */
export function readFile(file) {
  const layers = network(file, CLASSES);
  const rescaling = layers[0].kind === "rescaling" ? layers.shift()?.rescaling : undefined;
  const names = Object.keys(LENET);
  const expect = (
    /** @type {boolean} */ fits,
    /** @type {string} */ wanted,
    /** @type {string} */ it,
  ) => {
    if (fits) return;
    throw new TypeError(
      `Expected the layers of LeNet: ${wanted}. Received: ${it}. Open a file that was saved here, ` +
        "or one of cnn_tf.save_network(model, path) for a model of cnn_tf.LeNet.",
    );
  };
  expect(
    layers.length === names.length,
    `${names.length} with weights or windows`,
    `${layers.length}`,
  );
  const [activation] = layers[0].functions;
  const { mode } = layers[1];
  /** @type {{[name: string]: Float32Array}} */
  const weights = {};
  names.forEach((name, i) => {
    const layer = layers[i];
    const wanted = LENET[/** @type {keyof typeof LENET} */ (name)];
    expect(described(layer) === wanted, `${name} to be ${wanted}`, described(layer));
    const pool = layer.kind === "pool";
    expect(!pool || layer.mode === mode, `${name} to pool by ${mode}, as pool1 does`, layer.mode);
    const functions = layer.functions.join(", then ") || "none";
    const then = pool || name === "logits" ? "none" : activation;
    expect(
      functions === then && then !== "linear",
      `${name} with the activation ${then}`,
      functions,
    );
    if (pool) return;
    weights[`${name}/kernel`] = Float32Array.from(layer.kernel.data);
    weights[`${name}/bias`] = Float32Array.from(layer.bias.data);
  });
  const input = rescaling ? "standardised" : "plain";
  return { activation, pooling: mode, normalisation: "none", input, rescaling, weights };
}

/** @param {Layer} layer */
function described({ kind, from, shape, size, strides, padding }) {
  if (kind === "dense") return `dense ${from.reduce((product, n) => product * n)} to ${shape[2]}`;
  const window = `${size.join(" × ")}${kind === "conv" ? ` × ${from[2]} to ${shape[2]}` : ""}`;
  return `${kind} ${window}, strides ${strides.join(" × ")}, padding ${padding}`;
}
