/** What happens inside a network while it learns: three measures for each layer, and its kernels. */

import { tensor } from "./arithmetic.js";
import { Plot } from "./curves.js";
import { make, row } from "./element.js";
import { any } from "./numbers.js";
import { largest, paint } from "./picture.js";
import { sample } from "./run-table.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").Measure} Measure */

/** The layers, with the colours and dashes that the page gives them. @type {[string, string, string][]} */
const LAYERS = [
  ["conv1", "x", "none"],
  ["conv2", "x", "7 3"],
  ["dense1", "y", "none"],
  ["dense2", "y", "7 3"],
  ["logits", "k", "none"],
];

/** @type {{[measure in Measure]: string}} */
const TITLES = {
  length: "length of the gradient",
  variation: "variation over the pictures",
  slope: "slope of the activation",
};

const [KERNELS, CELLS] = [6, 25];

export class Inside {
  #plots = Object.entries(TITLES).map(([measure, title]) => ({
    measure: /** @type {Measure} */ (measure),
    plot: new Plot(title, { width: 240, right: 12, log: true }),
  }));

  #first = kernelRow("at the start");

  #now = kernelRow("now");

  element = make(
    "div",
    { class: "inside", hidden: true },
    make(
      "p",
      { class: "note legend" },
      ...LAYERS.map(([name, ...looks]) => make("span", {}, sample(...looks), name)),
    ),
    make("div", { class: "measures" }, ...this.#plots.map(({ plot }) => plot.element)),
    make("p", { class: "note small" }, "The six kernels of conv1:"),
    row(this.#first.element, this.#now.element),
  );

  /**
   * @param {Run | undefined} run
   * @param {number} end The last step of the axes.
   */
  show(run, end) {
    this.element.hidden = !run?.measures.length.steps.length;
    if (!run || this.element.hidden) return;
    for (const { measure, plot } of this.#plots) {
      const curve = run.measures[measure];
      const lines = LAYERS.slice(0, curve.lines.length)
        .map(([name, kind, dashes], k) => ({
          layer: name,
          kind,
          dashes,
          ...positive(curve.line(k)),
        }));
      plot.draw(lines, { end });
      const words = lines.map(({ layer, values }) =>
        values.length
          ? `${layer} from ${short(values[0])} to ${short(values.at(-1))}`
          : `${layer} zero`
      );
      plot.element.setAttribute(
        "aria-label",
        `${TITLES[measure]}, up to step ${run.step}: ${words.join("; ")}.`,
      );
    }
    const { firstKernels, kernels } = run;
    if (!firstKernels || !kernels) return;
    const limit = Math.max(
      ...[firstKernels, kernels].map((data) => largest(tensor([data.length], data))),
    );
    this.#first.show(firstKernels, limit);
    this.#now.show(kernels, limit);
  }
}

/**
 * What a logarithmic axis can show.
 * @param {import("./curves.js").Points} points
 */
function positive({ steps, values }) {
  const shown = (/** @type {unknown} */ _, /** @type {number} */ n) => values[n] > 0;
  return { steps: steps.filter(shown), values: values.filter(shown) };
}

/** @param {number | undefined} value */
function short(value = NaN) {
  return any(Number(value.toPrecision(2)));
}

/** @param {string} when */
function kernelRow(when) {
  const canvases = Array.from({ length: KERNELS }, () => make("canvas"));
  const row = { class: "kernels", role: "img", "aria-label": `The six kernels of conv1 ${when}` };
  const element = make(
    "figure",
    {},
    make("div", row, ...canvases),
    make("figcaption", { class: "small" }, when),
  );
  /** The number that each canvas shows last: painting takes longer than to compare. */
  let painted = "";
  return {
    element,
    /**
     * @param {Float32Array} kernels (5, 5, 1, 6)
     * @param {number} limit
     */
    show(kernels, limit) {
      const key = `${kernels.join()} ${limit}`;
      if (key === painted) return;
      painted = key;
      canvases.forEach((canvas, k) => {
        const data = Float32Array.from({ length: CELLS }, (_, i) => kernels[i * KERNELS + k]);
        paint(canvas, tensor([5, 5], data), { signed: true, limit: limit || 1 });
      });
    },
  };
}
