/** The layers of LeNet, in their order, to be trained. */

import { Activation, Convolution, Dense, Normalisation, Pooling } from "./gradients.js";
import { sumOfSquares } from "./look.js";

/** @typedef {import("./gradients.js").Layer} Layer */
/** @typedef {import("./trainee.js").Choices} Choices */
/** @typedef {import("./multiply.js").Space} Space */

/** Of a picture, and of classes. */
export const SIDE = 28;
export const PIXELS = SIDE * SIDE;
export const CLASSES = 10;

/**
 * The layers with windows, from the pixels on.
 * @type {{[name: string]: {size: number, stride: number, padding: number, filters?: number}}}
 */
export const WINDOWS = {
  conv1: { size: 5, stride: 1, padding: 2, filters: 6 },
  pool1: { size: 2, stride: 2, padding: 0 },
  conv2: { size: 5, stride: 1, padding: 0, filters: 16 },
  pool2: { size: 2, stride: 2, padding: 0 },
};

/** Hidden layers, with their inputs and units. @type {[string, number, number][]} */
const DENSE = [["dense1", 400, 120], ["dense2", 120, 84]];

export class Lenet {
  /**
   * @param {Space} space
   * @param {Choices} choices
   * @param {number} batch How many pictures it can take at once.
   */
  constructor(space, choices, batch) {
    const { activation, normalisation } = choices;
    const bias = normalisation === "none";
    this.input = space.floats(batch * PIXELS);
    /** @type {Layer[]} */
    this.layers = [];
    /** The layers that the reader looks into. @type {{units: number, activation?: Activation}[]} */
    this.outputs = [];
    const add = (/** @type {Layer[]} */ layers, /** @type {number} */ units) => {
      this.layers.push(...layers);
      const last = layers.at(-1);
      if (last instanceof Activation) this.outputs.push({ units, activation: last });
    };
    let from = [SIDE, SIDE, 1];
    for (const [name, { padding }] of Object.entries(WINDOWS)) {
      const first = name === "conv1";
      const { layers, to } = windowed(space, choices, { name, from, padding, batch, first });
      add(layers, to[0] * to[1] * to[2]);
      from = to;
    }
    for (const [name, inputs, units] of DENSE) {
      const layer = new Dense(space, { name, inputs, units, batch, bias });
      add(activated(space, layer, { activation, bias, places: 1, channels: units, batch }), units);
    }
    this.layers.push(new Dense(space, { name: "logits", inputs: 84, units: CLASSES, batch }));
    this.outputs.push({ units: CLASSES });
    this.parameters = this.layers.flatMap(({ parameters }) => parameters);
  }

  /**
   * The logits of the first n pictures of the input.
   * @param {number} n
   * @param {boolean} training
   * @returns {Generator<void, Float32Array>}
   */
  *forward(n, training) {
    let x = this.input.subarray(0, n * PIXELS);
    for (const layer of this.layers) {
      x = layer.forward(x, n, training);
      yield;
    }
    return x;
  }

  /**
   * Add the gradients of these pictures.
   * @param {Float32Array} dy By the logits.
   * @param {number} n
   * @returns {Generator<void, void>}
   */
  *backward(dy, n) {
    for (let i = this.layers.length - 1; i >= 0; i--) {
      dy = this.layers[i].backward(dy, n);
      yield;
    }
  }

  clear() {
    for (const { gradient } of this.parameters) gradient?.fill(0);
  }

  /** Whether all gradients are numbers. */
  finite() {
    return this.parameters.every(({ gradient }) => {
      return !gradient || Number.isFinite(sumOfSquares(gradient));
    });
  }

  /** Let the running statistics follow those of the minibatch. */
  follow() {
    for (const layer of this.layers) if (layer instanceof Normalisation) layer.follow();
  }

  kernelGradients() {
    return this.parameters.filter(({ name }) => name.endsWith("/kernel"))
      .map(({ gradient }) => /** @type {Float32Array} */ (gradient));
  }
}

/**
 * A layer with windows and what follows it, up to the next one; and the shape of its output.
 * @param {Space} space
 * @param {Choices} choices
 * @param {{name: string, from: number[], padding: number, batch: number, first?: boolean}} options
 *   `from`: height, width and channels of its input.
 * @returns {{layers: Layer[], to: number[]}}
 */
export function windowed(
  space,
  { activation, pooling, normalisation },
  { name, from, padding, batch, first },
) {
  const { size, stride, filters } = WINDOWS[name];
  const [h, w] = from.slice(0, 2).map((n) => (n + 2 * padding - size) / stride + 1);
  if (!filters) {
    const layer = new Pooling(space, { name, mode: pooling, from, batch });
    return { layers: [layer], to: [h, w, from[2]] };
  }
  const bias = normalisation === "none";
  const options = { name, from, filters, size, padding, batch, bias, first };
  const layer = new Convolution(space, options);
  const layers = activated(space, layer, {
    ...{ activation, bias, batch },
    ...{ places: h * w, channels: filters },
  });
  return { layers, to: [h, w, filters] };
}

/**
 * A layer with its activation behind it, and a normalisation between them in place of a bias.
 * @param {Space} space
 * @param {Layer} layer
 * @param {{activation: string, bias: boolean, places: number, channels: number, batch: number}}
 *   options
 * @returns {Layer[]}
 */
function activated(space, layer, { activation, bias, ...sizes }) {
  const { name } = layer;
  const last = new Activation({ name: `${name}_activation`, kind: activation });
  if (bias) return [layer, last];
  return [layer, new Normalisation(space, { name: `${name}_norm`, ...sizes }), last];
}
