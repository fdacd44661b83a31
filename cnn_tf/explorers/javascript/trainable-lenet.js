/** The layers of LeNet, in their order, to be trained. */

import { Activation, Convolution, Dense, Normalisation, Pooling } from "./gradients.js";
import { sumOfSquares } from "./look.js";

/** @typedef {import("./gradients.js").Layer} Layer */
/** @typedef {import("./trainee.js").Choices} Choices */

/** Of a picture, and of classes. */
export const PIXELS = 28 * 28;
export const CLASSES = 10;

export class Lenet {
  /**
   * @param {import("./multiply.js").Space} space
   * @param {Choices} choices
   * @param {number} batch How many pictures it can take at once.
   */
  constructor(space, { activation, pooling, normalisation }, batch) {
    const bias = normalisation === "none";
    this.input = space.floats(batch * PIXELS);
    /** @type {Layer[]} */
    this.layers = [];
    /** The layers that the reader looks into. @type {{units: number, activation?: Activation}[]} */
    this.outputs = [];
    const hidden = (/** @type {Layer} */ layer, /** @type {number[]} */ [h, w, channels]) => {
      const { name } = layer;
      const last = new Activation({ name: `${name}_activation`, kind: activation });
      this.layers.push(layer);
      if (!bias) {
        const options = { name: `${name}_norm`, places: h * w, channels, batch };
        this.layers.push(new Normalisation(space, options));
      }
      this.layers.push(last);
      this.outputs.push({ units: h * w * channels, activation: last });
    };
    const conv = { size: 5, batch, bias };
    const first = {
      ...conv,
      name: "conv1",
      from: [28, 28, 1],
      filters: 6,
      padding: 2,
      first: true,
    };
    hidden(new Convolution(space, first), [28, 28, 6]);
    this.layers.push(
      new Pooling(space, { name: "pool1", mode: pooling, from: [28, 28, 6], batch }),
    );
    const second = { ...conv, name: "conv2", from: [14, 14, 6], filters: 16 };
    hidden(new Convolution(space, second), [10, 10, 16]);
    this.layers.push(
      new Pooling(space, { name: "pool2", mode: pooling, from: [10, 10, 16], batch }),
    );
    const dense = { batch, bias };
    hidden(new Dense(space, { ...dense, name: "dense1", inputs: 400, units: 120 }), [1, 1, 120]);
    hidden(new Dense(space, { ...dense, name: "dense2", inputs: 120, units: 84 }), [1, 1, 84]);
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
