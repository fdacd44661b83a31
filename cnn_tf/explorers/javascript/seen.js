/** What an output in the middle of a layer's maps sees of the pixels: at the start, and now. */

import { tensor } from "./arithmetic.js";
import { make, row, say } from "./element.js";
import { SIDE } from "./network.js";
import { canvas, frame, largest, overlay, paint } from "./picture.js";
import { percent } from "./run-table.js";

/** @typedef {import("./run.js").Field} Field */
/** @typedef {import("./run.js").Run} Run */

export class Seen {
  #first = new Picture();

  #last = new Picture();

  #note = make("p", { class: "note" });

  element;

  /** @param {Node} control By which the reader chooses the layer. */
  constructor(control) {
    this.element = make(
      "div",
      { class: "inside", hidden: true },
      row(control),
      row(this.#first.element, this.#last.element),
      this.#note,
    );
  }

  /**
   * @param {Run | undefined} run
   * @param {string} layer
   */
  show(run, layer) {
    const fields = run?.fields[layer];
    this.element.hidden = !fields;
    if (!fields) return;
    const { first, last } = fields;
    this.#first.show(first, "at the start");
    this.#last.show(last, `at step ${last.step}`);
    const { side, step } = last;
    const [before, now] = [held(first), held(last)];
    say(
      this.#note,
      `An output of ${layer} sees ${side} × ${side} = ${side * side} pixels. Of the gradient, ` +
        `${before} lies within the inner frame, half as wide and half as high, at the start, and ` +
        `${now} at step ${step}; if all pixels counted alike, it would be a quarter.`,
    );
  }
}

/** A picture of how strongly an output depends on each pixel, in full colour where it does most. */
class Picture {
  #canvas = canvas("", 140);

  #over = overlay(this.#canvas);

  #caption = make("figcaption", { class: "small" });

  element = make("figure", {}, this.#over.element, this.#caption);

  /** @type {Field | undefined} */
  #painted = undefined;

  constructor() {
    this.#over.drawing.setAttribute("viewBox", `0 0 ${SIDE} ${SIDE}`);
  }

  /**
   * @param {Field} field
   * @param {string} when
   */
  show(field, when) {
    if (field === this.#painted) return;
    this.#painted = field;
    const { layer, from, side } = field;
    const shown = tensor([SIDE, SIDE], field.field);
    paint(this.#canvas, shown, { signed: true, limit: largest(shown) || 1 });
    const [start, inner] = [from + side / 4, side / 2];
    this.#over.drawing.replaceChildren(
      frame(from, from, side, side),
      frame(start, start, inner, inner),
    );
    say(this.#caption, when);
    this.#canvas.setAttribute(
      "aria-label",
      `How strongly an output of ${layer} depends on each pixel, ${when}: ${held(field)} of the ` +
        `gradient lies within the inner frame of its ${side} × ${side} pixels`,
    );
  }
}

/**
 * The share of the gradient in the inner half of the window.
 * @param {Field} field
 */
function held(field) {
  const share = innerShare(field);
  return Number.isFinite(share) ? percent(share) : "nothing (it is zero)";
}

/**
 * A window of odd width has pixels of which a part belongs to its inner half.
 * @param {Field} field
 */
function innerShare({ from, side, field }) {
  const [start, end] = [from + side / 4, from + 3 * side / 4];
  const inner = (/** @type {number} */ i) => Math.max(0, Math.min(i + 1, end) - Math.max(i, start));
  let [all, within] = [0, 0];
  field.forEach((value, at) => {
    all += value;
    within += value * inner(Math.floor(at / SIDE)) * inner(at % SIDE);
  });
  return within / all;
}
