/** Curves over the steps of a training: kept in few points, and drawn. */

import { make, say } from "./element.js";
import { any } from "./numbers.js";

/** @typedef {{low: number, high: number, ticks: [number, string][]}} Scale */
/** @typedef {{steps: number[], values: number[]}} Points */
/**
 * @typedef {Points & {kind?: string, dashes?: string, name?: string, recorded?: boolean}} Line
 *   `kind` is the class of its colour.
 */

/** More points than this are more than there are pixels. */
const MOST = 400;

// --- Keeping -------------------------------------------------------------------------------------

/** Values that come one by one, without end: when they are many, every second one goes. */
export class Curve {
  /** @type {number[]} */
  steps = [];

  /** One list for each of the lines. @type {number[][]} */
  lines = [];

  /** Of so many values one is kept. */
  #every = 1;

  #count = 0;

  /**
   * @param {number} step
   * @param {ArrayLike<number>} values One for each line.
   */
  push(step, values) {
    // The newest is always there; the next takes its place, unless it is one of those that stay.
    const stays = (this.#count - 1) % this.#every === 0;
    const length = this.#count === 0 || stays ? this.steps.length : this.steps.length - 1;
    if (length === MOST) this.#halve();
    const at = Math.min(length, this.steps.length);
    this.steps[at] = step;
    for (let k = 0; k < values.length; k++) (this.lines[k] ??= [])[at] = values[k];
    this.#count++;
  }

  #halve() {
    const second = (/** @type {unknown} */ _, /** @type {number} */ n) => n % 2 === 0;
    this.steps = this.steps.filter(second);
    this.lines = this.lines.map((line) => line.filter(second));
    this.#every *= 2;
  }

  /**
   * One of the lines.
   * @param {number} k
   * @returns {Points}
   */
  line(k) {
    return { steps: this.steps, values: this.lines[k] ?? [] };
  }
}

/** Values of which there is one in each step: a point is the mean of a stretch, and stands in its middle. */
export class MeanCurve {
  /** @type {number[]} */
  steps = [];

  /** @type {number[]} */
  values = [];

  /** Steps in a stretch. */
  #stretch = 1;

  #sum = 0;

  #count = 0;

  /** Steps so far. */
  #length = 0;

  /** @param {number} value */
  push(value) {
    this.#length++;
    this.#sum += value;
    if (++this.#count < this.#stretch) return;
    if (this.steps.length === MOST) this.#halve();
    else this.#append();
  }

  #append() {
    this.steps.push(this.#length - (this.#count + 1) / 2);
    this.values.push(this.#sum / this.#count);
    this.#sum = this.#count = 0;
  }

  /** Let a point stand for two; the value that has just come begins the next one. */
  #halve() {
    const pairs = (/** @type {number[]} */ numbers) =>
      Array.from({ length: MOST / 2 }, (_, n) => (numbers[2 * n] + numbers[2 * n + 1]) / 2);
    this.steps = pairs(this.steps);
    this.values = pairs(this.values);
    this.#stretch *= 2;
  }
}

// --- Scales --------------------------------------------------------------------------------------

/**
 * The least and the largest of all values that are finite.
 * @param {number[][]} lines
 * @returns {[number, number]}
 */
export function extremes(lines) {
  let [least, most] = [Infinity, -Infinity];
  for (const values of lines) {
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
  }
  return [least, most];
}

/**
 * A scale from below the least value to above the largest, with round numbers on it.
 * @param {number} least
 * @param {number} most
 * @returns {Scale}
 */
export function linear(least, most) {
  const range = Math.max(most - least, 1e-3);
  const power = 10 ** Math.floor(Math.log10(range / 3));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= range / 3.5) ?? 10);
  // Some room, and in quarters: then the scale changes seldom while the lines grow.
  const low = Math.floor(4 * (least - range / 16) / step) / 4 * step;
  const high = Math.ceil(4 * (most + range / 16) / step) / 4 * step;
  /** @type {[number, string][]} */
  const ticks = [];
  for (let n = Math.ceil(low / step); n * step <= high; n++) {
    ticks.push([n * step, any(Number((n * step).toPrecision(4)))]);
  }
  return { low, high, ticks };
}

/**
 * Heights near the given ones, with a gap between any two.
 * @param {number[]} heights
 * @param {number} gap
 * @param {number} most
 */
export function apart(heights, gap, most) {
  const places = [...heights];
  const order = heights.map((_, n) => n).sort((a, b) => heights[a] - heights[b]);
  let least = -Infinity;
  for (const n of order) {
    places[n] = Math.max(places[n], least);
    least = places[n] + gap;
  }
  for (const n of order.reverse()) {
    places[n] = Math.min(places[n], most);
    most = places[n] - gap;
  }
  return places;
}

/**
 * A scale of powers of ten, which holds all values.
 * @param {number} least
 * @param {number} most
 * @returns {Scale}
 */
export function logarithmic(least, most) {
  const low = Math.floor(Math.log10(least));
  const high = Math.max(low + 1, Math.ceil(Math.log10(most)));
  const between = Math.ceil((high - low) / 4);
  /** @type {[number, string][]} */
  const ticks = [];
  for (let power = low; power <= high; power += between) {
    const text = power < -3 || power > 4 ? `1e${power}`.replace("-", "−") : any(10 ** power);
    ticks.push([power, text]);
  }
  return { low, high, ticks };
}

/**
 * Where an axis of steps ends: at a round number, so that it does not change with every step.
 * @param {number} steps
 */
export function roundEnd(steps) {
  const power = 10 ** Math.floor(Math.log10(Math.max(steps, 200)));
  return power * /** @type {number} */ ([1, 2, 3, 5, 7, 10].find((n) => n * power >= steps));
}

// --- Drawing -------------------------------------------------------------------------------------

const [LEFT, TOP, UNDER] = [44, 24, 30];
const HEIGHT = 200;

/**
 * A drawing of curves over the steps. Its parts stay, and only what has changed is set anew, so
 * that the browser need not lay out the texts of the axes ten times a second.
 */
export class Plot {
  /** The ends of the lines that it shows: they grow, and do not change otherwise. */
  #drawn = "";

  /** What its axes show. */
  #ruled = "";

  #axes = make("g", { class: "axes" });

  #curves = make("g");

  #levels = make("g"); // no line may cover them, nor the names

  #names = make("g");

  /**
   * @param {string} title
   * @param {{width: number, right: number, log?: boolean}} options In units of the drawing, whose
   *   letters have 12; `right` is the room for names behind the lines. `log`: on a logarithmic scale.
   */
  constructor(title, { width, right, log = false }) {
    this.title = title;
    this.log = log;
    this.right = width - right;
    const look = {
      class: "chart",
      viewBox: `0 0 ${width} ${HEIGHT}`,
      style: `width: ${width / 16}rem`,
      role: "img",
    };
    const heading = make("text", { x: 0, y: 12 }, title);
    const parts = [heading, this.#axes, this.#curves, this.#levels, this.#names];
    this.element = make("svg", look, ...parts);
  }

  /**
   * @param {Line[]} lines
   * @param {{end: number, scale?: Scale, levels?: [number, string][]}} options The last step of the
   *   axis; levels are drawn as faint lines, with their names.
   */
  draw(lines, { end, scale, levels = [] }) {
    const drawn = lines.map(({ name, kind, steps, values }) =>
      [name, kind, steps.length, steps.at(-1), values.at(-1)].join()
    );
    const key = [end, scale?.high, ...drawn].join(" ");
    if (key === this.#drawn) return;
    this.#drawn = key;
    const height = this.log ? Math.log10 : Number;
    const shown = lines.map((line) => within(line, end));
    const { low, high, ticks } = scale ?? this.#scale(shown);
    const bottom = HEIGHT - UNDER;
    const x = (/** @type {number} */ step) => LEFT + (this.right - LEFT) * step / end;
    const y = (/** @type {number} */ value) =>
      bottom - (bottom - TOP) * (height(value) - low) / (high - low);

    const ruled = [end, low, high, ...levels].join(" ");
    if (ruled !== this.#ruled) {
      this.#ruled = ruled;
      const over = (/** @type {number} */ at) =>
        bottom - (bottom - TOP) * (at - low) / (high - low);
      this.#rule(ticks.map(([at, text]) => [over(at), text]), end);
      this.#level(levels.map(([value, name]) => [y(value), name]));
    }

    keep(this.#curves, shown.length, () => make("g", {}, make("polyline")));
    shown.forEach(({ steps, values, kind, dashes, recorded }, n) => {
      const curve = this.#curves.children[n];
      const points = steps.map((step, n) => `${x(step).toFixed(1)},${y(values[n]).toFixed(1)}`);
      set(curve, { class: [kind, recorded && "recorded"].filter(Boolean).join(" ") });
      set(curve.firstElementChild, {
        points: points.join(" "),
        "stroke-dasharray": dashes ?? "none",
      });
    });

    const named = shown.filter(({ name, steps }) => name && steps.length);
    const ends = named.map(({ values }) => y(values[values.length - 1]));
    const places = apart(ends, 12, bottom);
    keep(
      this.#names,
      named.length,
      () => make("g", {}, make("line"), make("text", { class: "end" })),
    );
    named.forEach(({ steps, name = "" }, n) => {
      const [lead, text] = this.#names.children[n].children;
      const at = x(steps[steps.length - 1]);
      set(lead, { x1: at + 2, y1: ends[n], x2: at + 8, y2: places[n] });
      set(text, { x: at + 10, y: places[n] + 4 });
      say(text, name);
    });
  }

  /**
   * Draw the axes.
   * @param {[number, string][]} heights
   * @param {number} end The last step.
   */
  #rule(heights, end) {
    const parts = heights.flatMap(([at, text]) => [
      this.#across(at),
      make("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, text),
    ]);
    for (const part of [0, 0.5, 1]) {
      const [anchor, text] = part === 1 ? ["end", `${end} steps`] : ["middle", `${part * end}`];
      const x = LEFT + (this.right - LEFT) * part + (part === 1 ? 12 : 0);
      parts.push(make("text", { x, y: HEIGHT - UNDER + 17, "text-anchor": anchor }, text));
    }
    this.#axes.replaceChildren(...parts);
  }

  /**
   * Draw the levels, and their names over all lines.
   * @param {[number, string][]} heights
   */
  #level(heights) {
    this.#axes.append(...heights.map(([at]) => this.#across(at, "wanted")));
    const where = (/** @type {number} */ at) => ({
      x: this.right,
      y: at - 4,
      "text-anchor": "end",
    });
    this.#levels.replaceChildren(
      ...heights.map(([at, name]) => make("text", { ...where(at), class: "faint" }, name)),
    );
  }

  /** @param {number} at */
  #across(at, kind = "") {
    return make("line", { x1: LEFT, x2: this.right, y1: at, y2: at, ...(kind && { class: kind }) });
  }

  /**
   * @param {Line[]} lines
   * @returns {Scale}
   */
  #scale(lines) {
    const [least, most] = extremes(lines.map(({ values }) => values));
    if (this.log) {
      return least > 0 && most < Infinity ? logarithmic(least, most) : logarithmic(0.1, 1);
    }
    return least <= most ? linear(least, most) : linear(0, 1);
  }
}

/**
 * Have so many parts in a group.
 * @param {Element} group
 * @param {number} count
 * @param {() => Element} another
 */
function keep(group, count, another) {
  while (group.children.length > count) group.lastChild?.remove();
  while (group.children.length < count) group.append(another());
}

/**
 * @param {Element | null} element
 * @param {{[name: string]: string | number}} attributes
 */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element?.getAttribute(name) !== String(value)) element?.setAttribute(name, String(value));
  }
}

/**
 * The part of a line up to a step, without what cannot be drawn.
 * @param {Line} line
 * @param {number} end
 * @returns {Line}
 */
function within(line, end) {
  /** @type {Points} */
  const kept = { steps: [], values: [] };
  for (const [n, step] of line.steps.entries()) {
    const value = line.values[n];
    if (!Number.isFinite(value)) continue;
    if (step > end) {
      const last = kept.steps.length - 1;
      if (last < 0) break;
      const part = (end - kept.steps[last]) / (step - kept.steps[last]);
      kept.steps.push(end);
      kept.values.push(kept.values[last] + part * (value - kept.values[last]));
      break;
    }
    kept.steps.push(step);
    kept.values.push(value);
  }
  return { ...line, ...kept };
}
