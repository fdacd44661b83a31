/** A training of the reader's own: what its worker has told of it, kept in few numbers. */

import { inWords } from "./choices.js";
import { Curve, MeanCurve } from "./curves.js";

/** @typedef {import("./choices.js").Choices} Choices */
/**
 * @typedef {object} Progress What the worker tells while it trains.
 * @property {number} step Steps since the start.
 * @property {Float32Array} losses Of the steps since it told the last time.
 * @property {{step: number, loss: number, accuracy: number}} [validation]
 * @property {Measures} [measures]
 * @property {Float32Array} [kernels] (5, 5, 1, 6), of the first convolution.
 * @property {Float32Array} [probabilities] Of the classes, for the picture that is watched.
 * @property {number} [speed] Pictures in a second.
 */
/** @typedef {{step: number, loss: number} & {[measure in Measure]: ArrayLike<number>}} Measures */
/**
 * @typedef {object} Field What it tells of an output in the middle of a layer's maps. Rows and
 *   columns are alike.
 * @property {number} step
 * @property {string} layer
 * @property {number} from The first row of the pixels in its receptive field.
 * @property {number} side How many rows that has.
 * @property {Float32Array} field (28, 28): how strongly the output depends on each pixel.
 */
/** @typedef {"length" | "variation" | "slope"} Measure */

/** The loss of a network that gives each of ten classes one tenth. */
export const GUESS = Math.log(10);

/** Where the plateau ends, as the page has it: one per cent below. */
const LEFT = 0.99 * GUESS;

/** Losses whose mean stands for the loss now. */
const RECENT = 20;

export class Run {
  step = 0;

  losses = new MeanCurve();

  /** On the validation pictures. */
  accuracy = new Curve();

  /** @type {{[measure in Measure]: Curve}} */
  measures = { length: new Curve(), variation: new Curve(), slope: new Curve() };

  /** Of the pictures that are measured, the last time. */
  measuredLoss = NaN;

  /** The step at which the loss was measured below the plateau first. @type {number | undefined} */
  leftAt = undefined;

  /** Of the first convolution, at the start. @type {Float32Array | undefined} */
  firstKernels = undefined;

  /** @type {Float32Array | undefined} */
  kernels = undefined;

  /** @type {Float32Array | undefined} */
  probabilities = undefined;

  /**
   * What outputs of each layer saw, first and last.
   * @type {{[layer: string]: {first: Field, last: Field}}}
   */
  fields = {};

  speed = NaN;

  /** @type {number[]} */
  #recent = [];

  /**
   * @param {number} id By which the worker knows it.
   * @param {number} place Its place among the runs that are kept, from 0, which decides its look.
   * @param {Choices} choices
   * @param {string} [file] The name of the file from which its network came.
   */
  constructor(id, place, choices, file) {
    this.id = id;
    this.place = place;
    this.choices = choices;
    this.file = file;
    this.name = file ? `“${file}”` : inWords(choices);
  }

  /** @param {Progress} progress */
  take({ step, losses, validation, measures, kernels, probabilities, speed }) {
    this.step = step;
    for (const loss of losses) this.losses.push(loss);
    this.#recent = [...this.#recent, ...losses].slice(-RECENT);
    if (validation) this.accuracy.push(validation.step, [validation.accuracy]);
    if (measures) {
      for (const [name, curve] of Object.entries(this.measures)) {
        curve.push(measures.step, measures[/** @type {Measure} */ (name)]);
      }
      this.measuredLoss = measures.loss;
      if (measures.loss < LEFT) this.leftAt ??= measures.step;
    }
    this.firstKernels ??= kernels;
    this.kernels = kernels ?? this.kernels;
    this.probabilities = probabilities ?? this.probabilities;
    this.speed = speed ?? this.speed;
  }

  /** @param {Field} field */
  trace(field) {
    const first = this.fields[field.layer]?.first ?? field;
    this.fields[field.layer] = { first, last: field };
  }

  /** The mean of the last losses. */
  get loss() {
    return this.#recent.reduce((sum, loss) => sum + loss, 0) / this.#recent.length;
  }

  /** The share of validation pictures that were right the last time. */
  get right() {
    return this.accuracy.line(0).values.at(-1) ?? NaN;
  }

  /** What there is to say of the plateau. */
  get plateau() {
    if (this.file) return "";
    if (this.leftAt !== undefined) {
      return this.leftAt <= RECENT
        ? "There is no plateau."
        : `The plateau ended at step ${this.leftAt}.`;
    }
    const near = Math.abs(this.measuredLoss / GUESS - 1) <= 0.01;
    return near ? "The loss is still at log 10: the plateau." : "";
  }
}
