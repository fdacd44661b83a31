/** Channels: a kernel for each output channel, with a slice for each input channel, and its sum. */

import { corr2d, correlate, tensor } from "./arithmetic.js";
import {
  beside,
  define,
  Explorer,
  integer,
  list,
  make,
  matrixOf,
  pairOf,
  result,
  row,
  term,
} from "./element.js";
import { LIMITS } from "./limits.js";
import { Matrix, replaced, Resizer } from "./matrix.js";
import { added, sum } from "./numbers.js";

/** @typedef {import("./arithmetic.js").Tensor} Tensor */
/** @typedef {number[][][]} Planes One matrix for each channel. */

/** What Python lets through: channels, rows and columns. */
const [LEAST, MOST] = LIMITS.channels.X;

export class Channels extends Explorer {
  static kinds = {
    X: list(matrixOf(MOST), "_", 1, MOST),
    K: list(list(matrixOf(MOST), "_", 1, MOST), "~", 1, MOST),
    channel: integer(0, MOST - 1),
    place: pairOf(0, MOST - 1),
  };

  static defaults = {
    X: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]],
    K: [
      [[[0, 1], [2, 3]], [[1, 2], [3, 4]]],
      [[[1, 2], [3, 4]], [[2, 3], [4, 5]]],
      [[[2, 3], [4, 5]], [[3, 4], [5, 6]]],
    ],
    channel: 0,
    place: [0, 0],
  };

  /** @param {import("./element.js").State} state */
  settle(state) {
    // The matrices of an address may differ in size: the first decides.
    const [h, w] = size(state.X);
    state.X = sized(state.X, h, w);
    const [rows, columns] = size(state.K[0]);
    let [k_h, k_w] = [Math.min(rows, h), Math.min(columns, w)];
    if (rows === columns) k_h = k_w = Math.min(k_h, k_w);
    state.K = state.K.map((/** @type {Planes} */ kernel, /** @type {number} */ o) =>
      sized(continued(kernel, state.X.length), k_h, k_w, o)
    );
    state.channel = Math.min(state.channel, state.K.length - 1);
    state.place = [Math.min(state.place[0], h - k_h), Math.min(state.place[1], w - k_w)];
  }

  /** @type {Matrix[]} */
  #inputs = [];

  /** @type {Matrix[]} */
  #slices = [];

  /** @type {Matrix[]} */
  #outputs = [];

  /** Of each matrix that there was, by its name. @type {Map<string, Resizer>} */
  #resizers = new Map();

  /** The channels and kernels that there were. @type {{X: Planes, K: Planes[]}} */
  #before = { X: [], K: [] };

  #pairs = make("div", { class: "pairs" });

  #planes = row();

  #sum = make("div", { class: "note", role: "status" });

  #shown = this.choiceControl("Output channel shown", {
    options: Object.fromEntries(Array.from({ length: MOST }, (_, o) => [o, `${o}`])),
    get: () => String(this.state.channel),
    set: (value) => this.change({ channel: Number(value) }),
  });

  reset() {
    this.#resizers.clear();
    this.#before = { X: [], K: [] };
    super.reset();
  }

  build() {
    const images = () => size(this.state.X);
    const kernels = () => size(this.state.K[0])[0];
    const fitting = () => Math.min(...images()); // a kernel is no larger than the image
    return [
      beside(this.#pairs, result(term("=", this.#planes))),
      this.#sum,
      row(
        this.#shown,
        this.#number("Input channels", () => MOST, () => this.state.X.length, (n) => ({
          X: continued(this.state.X, n, this.#before.X),
        })),
        this.#number("Output channels", () => MOST, () => this.state.K.length, (n) => ({
          K: continued(this.state.K, n, this.#before.K),
        })),
      ),
      row(
        this.#number("Kernel size", fitting, kernels, (k) => ({
          K: this.state.K.map((/** @type {Planes} */ it, /** @type {number} */ o) =>
            sized(it, k, k, o, (c) => this.#resizer(`K ${o} ${c}`))
          ),
        })),
        this.#number("Rows of X", () => MOST, () => images()[0], (n) => ({
          X: this.#sizedX(n, images()[1]),
        })),
        this.#number("Columns of X", () => MOST, () => images()[1], (n) => ({
          X: this.#sizedX(images()[0], n),
        })),
      ),
    ];
  }

  /**
   * @param {number} h
   * @param {number} w
   */
  #sizedX(h, w) {
    return sized(this.state.X, h, w, 0, (c) => this.#resizer(`X ${c}`));
  }

  /** @param {string} name */
  #resizer(name) {
    const resizer = this.#resizers.get(name) ?? new Resizer();
    this.#resizers.set(name, resizer);
    return resizer;
  }

  /**
   * A control for a size.
   * @param {string} label
   * @param {() => number} most
   * @param {() => number} get
   * @param {(n: number) => import("./element.js").State} changes
   */
  #number(label, most, get, changes) {
    const set = (/** @type {number} */ n) => this.change(changes(n));
    return this.numberControl(label, { least: LEAST, most, get, set });
  }

  /** Make the matrices of the next input channel. */
  #addPair() {
    const c = this.#inputs.length;
    const input = new Matrix(`X, channel ${c}`, "x", {
      edit: (i, j, value) =>
        this.change({ X: this.state.X.with(c, replaced(this.state.X[c], i, j, value)) }),
    });
    const slice = new Matrix(`K, channel ${c}`, "k", {
      edit: (i, j, value) => {
        const { K, channel } = this.state;
        const kernel = K[channel].with(c, replaced(K[channel][c], i, j, value));
        this.change({ K: K.with(channel, kernel) });
      },
    });
    this.#inputs.push(input);
    this.#slices.push(slice);
    const sign = make("span", { class: "sign", role: "img", "aria-label": "correlated with" }, "⋆");
    const pair = make("div", { class: "pair" }, input.element, term(sign, slice.element));
    if (c > 0) pair.prepend(make("span", { class: "sign" }, "+"));
    this.#pairs.append(pair);
  }

  /** Make the matrix of the next output channel. */
  #addOutput() {
    const channel = this.#outputs.length;
    const output = new Matrix(`Y, channel ${channel}`, "y", {
      point: (place) => place && this.change({ channel, place }),
    });
    this.#outputs.push(output);
    this.#planes.append(output.element);
  }

  draw() {
    const { X, K, channel, place: [i, j] } = this.state;
    const kernel = K[channel];
    const [k_h, k_w] = size(kernel);
    while (this.#inputs.length < X.length) this.#addPair();
    while (this.#outputs.length < K.length) this.#addOutput();
    for (const [c, pair] of [...this.#pairs.children].entries()) {
      pair.hidden = c >= X.length;
      if (pair.hidden) continue;
      this.#inputs[c].show(X[c], {
        lit: (u, v) => Number(u >= i && u < i + k_h && v >= j && v < j + k_w),
      });
      this.#slices[c].show(kernel[c], { lit: () => 1 });
    }
    const both = X.map((/** @type {number[][]} */ _, /** @type {number} */ c) =>
      this.#inputs[c].width + this.#slices[c].width
    );
    this.#pairs.style.setProperty("--both", String(Math.max(...both)));
    const Y = planes(correlate(image(X), kernels(K)));
    for (const [o, output] of this.#outputs.entries()) {
      output.element.hidden = o >= Y.length;
      if (output.element.hidden) continue;
      output.show(Y[o], {
        // Faintly the whole channel that the kernel beside it makes.
        lit: (u, v) => o !== channel ? 0 : u === i && v === j ? 1 : 0.3,
      });
    }
    for (const [o, option] of [...this.#shown.querySelectorAll("option")].entries()) {
      option.hidden = option.disabled = o >= K.length;
    }
    this.#sum.replaceChildren(...this.#lines(Y[channel][i][j]));
  }

  /**
   * The sum, one line for each input channel.
   * @param {number} total
   * @returns {HTMLElement[]}
   */
  #lines(total) {
    const { X, K, channel, place: [i, j] } = this.state;
    const sums = K[channel].map((/** @type {number[][]} */ k, /** @type {number} */ c) =>
      corr2d(X[c], k)[i][j]
    );
    const parts = K[channel].map((/** @type {number[][]} */ k, /** @type {number} */ c) =>
      sum(k.flatMap((weights, u) => weights.map((it, v) => [X[c][i + u][j + v], it])), sums[c])
    );
    const lines = [`Y, channel ${channel}:`];
    if (parts.length === 1) lines.push(parts[0]);
    else {
      for (const [c, part] of parts.entries()) lines.push(`${c ? "+ " : ""}(${part})`);
      lines.push(added(sums, total));
    }
    if (K[channel][0].length === 1 && K[channel][0][0].length === 1) {
      lines.push(
        "A 1×1 kernel uses no neighbours: it weighs the channels at one place, and adds them.",
      );
    }
    return lines.map((line) => make("div", {}, line));
  }
}

/**
 * The rows and columns of each channel.
 * @param {Planes} channels
 * @returns {[number, number]}
 */
function size([first]) {
  return [first.length, first[0].length];
}

/**
 * Channels of another size. New cells count on, and each channel has one more than the one before.
 * @param {Planes} channels
 * @param {number} h
 * @param {number} w
 * @param {number} more What is added to the new cells of all channels.
 * @param {(c: number) => Resizer} resizer That of a channel.
 * @returns {Planes}
 */
function sized(channels, h, w, more = 0, resizer = (/** @type {number} */ _) => new Resizer()) {
  return channels.map((old, c) => resizer(c).resized(old, h, w, c + more));
}

/**
 * As many as asked for: the first of them, and after the last those that there were before, or the
 * last plus one.
 * @template T
 * @param {T[]} values
 * @param {number} n
 * @param {T[]} before Gets what is left out.
 * @returns {T[]}
 */
function continued(values, n, before = []) {
  for (const [at, value] of values.entries()) before[at] = value;
  const all = values.slice(0, n);
  while (all.length < n) all.push(before[all.length] ?? plusOne(all[all.length - 1]));
  return all;
}

/**
 * @param {any} values Numbers in lists.
 * @returns {any}
 */
function plusOne(values) {
  return Array.isArray(values) ? values.map(plusOne) : values + 1;
}

/**
 * Channels as an image (h, w, c_i).
 * @param {Planes} X
 */
function image(X) {
  const [h, w] = size(X);
  const all = X[0].flatMap((row, i) => row.flatMap((_, j) => X.map((x) => x[i][j])));
  return tensor([h, w, X.length], Float64Array.from(all));
}

/**
 * Kernels (c_o, c_i, k_h, k_w) in the order of Keras.
 * @param {Planes[]} K
 */
function kernels(K) {
  const [k_h, k_w] = size(K[0]);
  const all = K[0][0].flatMap((row, u) =>
    row.flatMap((_, v) => K[0].flatMap((_, c) => K.map((kernel) => kernel[c][u][v])))
  );
  return tensor([k_h, k_w, K[0].length, K.length], Float64Array.from(all));
}

/**
 * The channels of an image.
 * @param {Tensor} Y
 * @returns {Planes}
 */
function planes({ shape: [h, w, channels], data }) {
  return Array.from({ length: channels }, (_, o) =>
    Array.from(
      { length: h },
      (_, i) => Array.from({ length: w }, (_, j) => data[(i * w + j) * channels + o]),
    ));
}

define("cnn-channels", Channels);
