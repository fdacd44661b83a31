/** The sliding window: an image and a kernel to change, and the sum at each place. */

import { corr2d } from "./arithmetic.js";
import { define, Explorer, make, matrixOf, pairOf, result, row, say, term } from "./element.js";
import { LIMITS } from "./limits.js";
import { Matrix, replaced, Resizer } from "./matrix.js";
import { sum } from "./numbers.js";

/** @typedef {import("./matrix.js").Place} Place */

const BOUNDS = LIMITS["sliding-window"];

export class SlidingWindow extends Explorer {
  static kinds = {
    X: matrixOf(BOUNDS.X[1]),
    K: matrixOf(BOUNDS.K[1]),
    place: pairOf(0, BOUNDS.X[1] - 1),
  };

  static defaults = {
    X: [[0, 1, 2], [3, 4, 5], [6, 7, 8]],
    K: [[0, 1], [2, 3]],
    place: [0, 0],
  };

  /** The cell of the input that the reader points at. @type {Place | undefined} */
  #pointed = undefined;

  /** @param {import("./element.js").State} state */
  settle(state) {
    const [h, w] = [state.X.length, state.X[0].length];
    state.K = state.K.slice(0, h).map((/** @type {number[]} */ weights) => weights.slice(0, w));
    const [k_h, k_w] = [state.K.length, state.K[0].length];
    state.place = [Math.min(state.place[0], h - k_h), Math.min(state.place[1], w - k_w)];
  }

  #input = new Matrix("X", "x", {
    edit: (i, j, value) => this.change({ X: replaced(this.state.X, i, j, value) }),
    point: (place) => {
      this.#pointed = place;
      this.draw();
    },
  });

  #kernel = new Matrix("K", "k", {
    edit: (i, j, value) => this.change({ K: replaced(this.state.K, i, j, value) }),
  });

  #output = new Matrix("Y", "y", { point: (place) => place && this.change({ place }) });

  #sizes = { X: new Resizer(), K: new Resizer() };

  #sum = make("p", { class: "note", role: "status" });

  #uses = make("p", { class: "note" });

  reset() {
    this.#sizes = { X: new Resizer(), K: new Resizer() };
    super.reset();
  }

  build() {
    const star = make("span", { class: "sign", role: "img", "aria-label": "correlated with" }, "⋆");
    return [
      result(
        row(
          this.#input.element,
          term(star, this.#kernel.element),
          term("=", this.#output.element),
        ),
        this.#sum,
        this.#uses,
      ),
      row(
        this.button("Back", () => this.#step(-1)),
        this.button("Step", () => this.#step(1)),
        this.playControl("Play", () => this.#step(1) !== 0, 900),
      ),
      row(
        this.#size("X", 0),
        this.#size("X", 1),
        this.#size("K", 0),
        this.#size("K", 1),
      ),
    ];
  }

  /** @param {"X" | "K"} key */
  #shape(key) {
    return [this.state[key].length, this.state[key][0].length];
  }

  /**
   * A control for the number of rows (axis 0) or columns (axis 1) of a matrix.
   * @param {"X" | "K"} key
   * @param {0 | 1} axis
   */
  #size(key, axis) {
    return this.numberControl(`${axis ? "Columns" : "Rows"} of ${key}`, {
      least: BOUNDS[key][0],
      // A kernel is no larger than the image.
      most: () => Math.min(BOUNDS[key][1], key === "K" ? this.#shape("X")[axis] : Infinity),
      get: () => this.#shape(key)[axis],
      set: (n) => {
        const [h, w] = this.#shape(key).with(axis, n);
        this.change({ [key]: this.#sizes[key].resized(this.state[key], h, w) });
      },
    });
  }

  /**
   * Move the window to the next place, from the last one to the first.
   * @param {number} by
   * @returns {number} The number of the place.
   */
  #step(by) {
    const [rows, columns] = this.#places();
    const [i, j] = this.state.place;
    const next = (i * columns + j + by + rows * columns) % (rows * columns);
    this.change({ place: [Math.floor(next / columns), next % columns] });
    return next;
  }

  #places() {
    const { X, K } = this.state;
    return [X.length - K.length + 1, X[0].length - K[0].length + 1];
  }

  draw() {
    const { X, K, place: [i, j] } = this.state;
    const Y = corr2d(X, K);
    const pointed = this.#pointed;
    /** @type {(u: number, v: number, top: number, left: number) => boolean} */
    const covers = (u, v, top, left) =>
      u >= top && u < top + K.length && v >= left && v < left + K[0].length;

    this.#sum.setAttribute("aria-live", this.playing ? "off" : "polite");
    const products = K.flatMap((/** @type {number[]} */ row, /** @type {number} */ u) =>
      row.map((k, v) => [X[i + u][j + v], k])
    );
    say(this.#sum, sum(products, Y[i][j]));

    // The other way round: framed are the pixel that is pointed at, the outputs that use it, and the
    // weights that they give it.
    const [row, column] = pointed ?? [NaN, NaN];
    const users = Y.flatMap((values, u) => values.map((_, v) => [u, v]))
      .filter(([u, v]) => covers(row, column, u, v));
    this.#input.show(X, {
      lit: (u, v) => Number(covers(u, v, i, j)),
      marked: (u, v) => u === row && v === column,
    });
    this.#kernel.show(K, {
      lit: () => 1,
      marked: (a, b) => users.some(([u, v]) => row - u === a && column - v === b),
    });
    this.#output.show(Y, {
      lit: (u, v) => Number(u === i && v === j),
      marked: (u, v) => covers(row, column, u, v),
    });
    say(
      this.#uses,
      pointed
        ? `Outputs that use this pixel: ${users.length} of ${Y.flat().length}.`
        : "Point at a pixel of X to see which outputs use it.",
    );
  }
}

define("cnn-sliding-window", SlidingWindow);
