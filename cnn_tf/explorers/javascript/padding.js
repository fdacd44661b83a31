/** Padding and stride: how large the output is, why, and how often each pixel is used. */

import { axisPadding, outputSize, span, useCounts } from "./arithmetic.js";
import {
  beside,
  choice,
  define,
  Explorer,
  make,
  pairOf,
  result,
  row,
  say,
  term,
} from "./element.js";
import { LIMITS } from "./limits.js";
import { Matrix } from "./matrix.js";

/** @typedef {import("./element.js").State} State */
/** @typedef {{n: number, k: number, before: number, after: number, s: number, d: number,
 *   m: number}} Axis What holds along one axis; m is the size of the output. */

const LABELS = {
  size: "size n",
  kernel_size: "kernel k",
  padding: "padding on each side",
  strides: "stride s",
  dilation_rate: "dilation d",
};
const BOUNDS = LIMITS.padding;

/** @type {import("./element.js").Kind} */
const paddingKind = {
  read: (text) => choice(["valid", "same"]).read(text) ?? pairOf(...BOUNDS.padding).read(text),
  write: (value) => (typeof value === "string" ? value : pairOf(...BOUNDS.padding).write(value)),
};

export class Padding extends Explorer {
  static kinds = {
    size: pairOf(...BOUNDS.size),
    kernel_size: pairOf(...BOUNDS.kernel_size),
    padding: paddingKind,
    strides: pairOf(...BOUNDS.strides),
    dilation_rate: pairOf(...BOUNDS.dilation_rate),
    place: pairOf(0, 15),
  };

  static defaults = {
    size: [8, 8],
    kernel_size: [3, 3],
    padding: [1, 1],
    strides: [1, 1],
    dilation_rate: [1, 1],
    place: [0, 0],
  };

  #input = new Matrix("X: how often each pixel is used", "x");

  #output = new Matrix("Y: how many pixels each output sees", "y", {
    point: (place) => place && this.change({ place }),
  });

  #formulas = make("p", { class: "note lines", role: "status" });

  #alike = true;

  #rows = this.#fields(0);

  #columns = this.#fields(1);

  /** @param {State} state */
  settle(state) {
    this.#alike &&= Object.keys(LABELS).every((key) =>
      typeof state[key] === "string" || state[key][0] === state[key][1]
    );
    const { m: rows } = this.#axis(0, state);
    const { m: columns } = this.#axis(1, state);
    const last = [Math.max(rows - 1, 0), Math.max(columns - 1, 0)];
    state.place = state.place.map((/** @type {number} */ i, /** @type {0 | 1} */ axis) =>
      Math.min(i, last[axis])
    );
  }

  /**
   * @param {0 | 1} axis
   * @param {State} state
   * @returns {Axis}
   */
  #axis(axis, state = this.state) {
    const [n, k] = [state.size[axis], state.kernel_size[axis]];
    const [s, d] = [state.strides[axis], state.dilation_rate[axis]];
    const by = typeof state.padding === "string" ? state.padding : state.padding[axis];
    const [before, after] = axisPadding(n, k, by, s, d);
    return { n, k, before, after, s, d, m: outputSize(n, k, [before, after], s, d) };
  }

  build() {
    const alike = this.checkControl("rows and columns alike", {
      get: () => this.#alike,
      set: (value) => {
        this.#alike = value;
        const alike = value ? this.#pairs((pair) => [pair[0], pair[0]]) : [];
        this.change(Object.fromEntries(alike));
      },
    });
    const padding = this.choiceControl("padding", {
      options: { numbers: "in numbers", same: '"same"', valid: '"valid"' },
      get: () => (typeof this.state.padding === "string" ? this.state.padding : "numbers"),
      set: (value) =>
        this.change({
          padding: value === "numbers" ? this.#cells() : value,
        }),
    });
    return [
      beside(this.#input.element, result(term("→", this.#output.element))),
      this.#formulas,
      row(padding, alike),
      row(this.#rows, this.#columns),
    ];
  }

  /** The cells that "same" or "valid" adds before each axis, as far as numbers can say it. */
  #cells() {
    return [this.#axis(0), this.#axis(1)].map(({ before }) => Math.min(before, BOUNDS.padding[1]));
  }

  reset() {
    this.#alike = true;
    super.reset();
  }

  /**
   * The pairs of the state, changed.
   * @param {(pair: [number, number]) => [number, number]} change
   */
  #pairs(change) {
    return Object.keys(LABELS)
      .filter((key) => typeof this.state[key] !== "string")
      .map((key) => [key, change(this.state[key])]);
  }

  /**
   * The numbers of one axis.
   * @param {0 | 1} axis
   * @returns {HTMLFieldSetElement}
   */
  #fields(axis) {
    const fields = Object.entries(LABELS).map(([key, label]) =>
      this.numberControl(label, {
        least: BOUNDS[key][0],
        most: BOUNDS[key][1],
        get: () =>
          typeof this.state[key] === "string" ? this.#axis(axis).before : this.state[key][axis],
        set: (value) => {
          const old = typeof this.state[key] === "string" ? this.#cells() : this.state[key];
          const both = axis ? [old[0], value] : [value, old[1]];
          this.change({ [key]: this.#alike ? [value, value] : both });
        },
      })
    );
    return make("fieldset", { class: "axis" }, make("legend", { class: "name" }), ...fields);
  }

  draw() {
    const axes = [this.#axis(0), this.#axis(1)];
    const [rows, columns] = axes;
    const { place } = this.state;
    const fits = rows.m > 0 && columns.m > 0;

    /** Whether the window at the marked output covers a cell of the padded input. */
    const under = axes.map(({ k, s, d }, axis) => (/** @type {number} */ cell) => {
      const offset = cell - place[axis] * s;
      return offset >= 0 && offset % d === 0 && offset / d < k;
    });
    const uses = axes.map(({ n, k, before, after, s, d }) =>
      useCounts(n, k, [before, after], s, d)
    );
    const pixel = axes.map(({ n, before }) => (/** @type {number} */ cell) =>
      cell >= before && cell < before + n
    );
    const padded = axes.map(({ n, before, after }) => n + before + after);
    this.#input.show(
      grid(
        padded[0],
        padded[1],
        (i, j) =>
          pixel[0](i) && pixel[1](j) ? uses[0][i - rows.before] * uses[1][j - columns.before] : NaN,
      ),
      {
        lit: (i, j) => Number(fits && under[0](i) && under[1](j)),
        dashed: (i, j) => !(pixel[0](i) && pixel[1](j)),
      },
    );

    const seen = axes.map(({ n, k, before, s, d, m }) =>
      Array.from(
        { length: m },
        (_, i) =>
          Array.from({ length: k }, (_, u) => i * s + u * d - before).filter((at) =>
            at >= 0 && at < n
          )
            .length,
      )
    );
    this.#output.element.hidden = !fits;
    if (fits) {
      this.#output.show(grid(rows.m, columns.m, (i, j) => seen[0][i] * seen[1][j]), {
        lit: (i, j) => Number(i === place[0] && j === place[1]),
      });
    }
    const [rowsLegend, columnsLegend] = [this.#rows.children[0], this.#columns.children[0]];
    rowsLegend.textContent = this.#alike ? "Rows and columns" : "Rows";
    columnsLegend.textContent = "Columns";
    this.#columns.hidden = this.#alike;
    say(this.#formulas, `Rows: ${formula(rows)}\nColumns: ${formula(columns)}`);
  }
}

/**
 * @param {number} h
 * @param {number} w
 * @param {(i: number, j: number) => number} value
 */
function grid(h, w, value) {
  return Array.from({ length: h }, (_, i) => Array.from({ length: w }, (_, j) => value(i, j)));
}

/**
 * The size of the output, ⌊(n − k + p + s) / s⌋, with its numbers.
 * @param {Axis} axis
 */
function formula({ n, k, before, after, s, d, m }) {
  const wide = span(k, d);
  const dilated = d > 1 ? `the window spans ${d} · (${k} − 1) + 1 = ${wide} cells; ` : "";
  if (m === 0) return `${dilated}a window of ${wide} does not fit into ${n + before + after}`;
  const p = before === after ? `${before + after}` : `(${before} + ${after})`;
  return `${dilated}⌊(${n} − ${wide} + ${p} + ${s}) / ${s}⌋ = ${m}`;
}

define("cnn-padding", Padding);
