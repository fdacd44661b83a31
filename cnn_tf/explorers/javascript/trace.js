/**
 * From one output in the middle of a layer's maps back to the pixels: how strongly it depends on each.
 *
 * The output sees a small square of a picture. So it is computed by the same layers upon this square
 * alone, which takes a fraction of the time of whole maps; its maps get smaller and smaller, and the
 * last has a single place.
 */

import { inOneSpace } from "./multiply.js";
import { PIXELS, SIDE, windowed, WINDOWS } from "./trainable-lenet.js";

/** @typedef {import("./gradients.js").Layer} Layer */
/** @typedef {import("./gradients.js").Parameter} Parameter */
/** @typedef {import("./trainee.js").Choices} Choices */

export class Trace {
  /** The layers upon the square. @type {Layer[]} */
  #layers = [];

  /** Pixels of the square, picture after picture. */
  #input;

  /** The gradient by the outputs, one for each channel of a picture. */
  #dy;

  #channels;

  /**
   * @param {string} name Of the layer.
   * @param {Choices} choices
   * @param {number} batch How many pictures it takes.
   * @param {{plain?: boolean}} options `plain`: without WebAssembly.
   */
  constructor(name, choices, batch, options) {
    const { place, from, side } = windowOf(name);
    this.place = place;
    this.from = from;
    this.side = side;
    const made = inOneSpace((space) => {
      const input = space.floats(batch * side * side);
      /** @type {Layer[]} */
      const layers = [];
      let shape = [side, side, 1];
      for (const each of upTo(name)) {
        // In the middle of the maps, no window reaches the padding.
        const more = windowed(space, choices, { name: each, from: shape, padding: 0, batch });
        layers.push(...more.layers);
        shape = more.to;
      }
      return { input, layers, dy: space.floats(batch * shape[2]), channels: shape[2] };
    }, options);
    this.#layers = made.layers;
    this.#input = made.input;
    this.#dy = made.dy;
    this.#channels = made.channels;
  }

  /**
   * The mean over pictures and channels of the size of the derivative by each pixel.
   * @param {Parameter[]} weights Those of the whole network.
   * @param {Uint8Array} pictures Pixels of `batch` pictures.
   * @param {Float32Array} scaled What goes into the network for each of the 256 pixels.
   * @returns {Generator<void, Float32Array>} (28, 28)
   */
  *field(weights, pictures, scaled) {
    const { side, from } = this;
    const count = pictures.length / PIXELS;
    this.#take(weights);
    this.#cut(pictures, scaled);
    let y = this.#input;
    for (const layer of this.#layers) {
      y = layer.forward(y, count, false);
      yield;
    }
    const sums = new Float64Array(side * side);
    for (let channel = 0; channel < this.#channels; channel++) {
      let dy = this.#dy.fill(0);
      for (let at = channel; at < dy.length; at += this.#channels) dy[at] = 1;
      for (const layer of this.#layers.toReversed()) dy = layer.backward(dy, count);
      for (let at = 0; at < dy.length; at++) sums[at % sums.length] += Math.abs(dy[at]);
      yield;
    }
    const slope = Math.abs(scaled[255] - scaled[0]); // of what goes in, by pixels from 0 to 1
    const share = slope / (count * this.#channels);
    const field = new Float32Array(PIXELS);
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        field[(from + row) * SIDE + from + column] = share * sums[row * side + column];
      }
    }
    return field;
  }

  /** @param {Parameter[]} weights */
  #take(weights) {
    const values = new Map(weights.map(({ name, value }) => [name, value]));
    for (const { name, value, gradient } of this.#layers.flatMap((it) => it.parameters)) {
      value.set(/** @type {Float32Array} */ (values.get(name)));
      gradient?.fill(0); // nobody asks for it, but it must not grow without end
    }
  }

  /**
   * Cut the square out of each picture.
   * @param {Uint8Array} pictures
   * @param {Float32Array} scaled
   */
  #cut(pictures, scaled) {
    const { side, from } = this;
    let to = 0;
    for (let first = from * SIDE + from; first < pictures.length; first += PIXELS) {
      for (let row = 0; row < side; row++) {
        const start = first + row * SIDE;
        for (let at = start; at < start + side; at++) this.#input[to++] = scaled[pictures[at]];
      }
    }
  }
}

/** @param {string} name */
function upTo(name) {
  const names = Object.keys(WINDOWS);
  const place = names.indexOf(name);
  if (place >= 0) return names.slice(0, place + 1);
  throw new RangeError(`Expected a layer among ${names.join(", ")}. Received: ${name}.`);
}

/**
 * The output in the middle of a layer's maps, and the pixels of its receptive field: the first and
 * how many. Rows and columns are alike.
 * @param {string} name
 */
function windowOf(name) {
  const windows = upTo(name).map((each) => WINDOWS[each]);
  const size = windows.reduce(
    (n, { size, stride, padding }) => (n + 2 * padding - size) / stride + 1,
    SIDE,
  );
  const place = Math.floor(size / 2);
  const [from, to] = windows.reduceRight(
    ([first, last], { size, stride, padding }) => [
      first * stride - padding,
      last * stride - padding + size - 1,
    ],
    [place, place],
  );
  return { place, from, side: to - from + 1 };
}
