/** Gradient descent: a layer finds the kernel that makes the wanted output, step by step. */

import { corr2d, squaredError } from "./arithmetic.js";
import { apart, extremes, linear } from "./curves.js";
import { calm, define, Explorer, make, matrixOf, number, row, say } from "./element.js";
import { LIMITS } from "./limits.js";
import { Matrix, replaced } from "./matrix.js";
import { any, format, rounded } from "./numbers.js";

/** @typedef {import("./element.js").State} State */
/** @typedef {{kernel: number[][], loss: number, gradient: number[][], rate: number}} Moment
 *   The layer after a step, and the learning rate of that step. */
/** @typedef {import("./curves.js").Scale} Scale */

const BOUNDS = LIMITS.learning;

const KERNELS = {
  "1,-1": "upright edges 1 −1",
  "1;-1": "level edges 1 −1",
  "1,-1;2,0.5": "2 × 2",
  "1,0,-1;2,0,-2;1,0,-1": "Sobel",
};

// The preferred numbers of IEC 60063: about even steps on a logarithmic scale, and all of them short.
const DECADE = "10 11 12 13 15 16 18 20 22 24 27 30 33 36 39 43 47 51 56 62 68 75 82 91".split(" ");
const RATES = [1e-4, 1e-3, 1e-2]
  .flatMap((unit) => DECADE.map((digits) => Number((Number(digits) * unit).toPrecision(2))))
  .filter((rate) => rate <= BOUNDS.learning_rate[1]);

const STEPS = 200;
const FOUND = 1e-6;
const DIVERGED = 1e12;

const kernelKind = matrixOf(BOUNDS.K[1]);

export class Learning extends Explorer {
  static kinds = {
    X: matrixOf(BOUNDS.X[1]),
    K: kernelKind,
    start: kernelKind,
    learning_rate: number(...BOUNDS.learning_rate),
  };

  static defaults = {
    X: Array.from({ length: 6 }, () => [1, 1, 0, 0, 0, 0, 1, 1]),
    K: [[1, -1]],
    start: [[0.2, 0.2]],
    learning_rate: 0.03,
  };

  /** X, K and start of the run. @type {number[][][]} */
  #given = [];

  /** The output of the kernel to be found. @type {number[][]} */
  #Y = [];

  /** The learning rate above which the steps grow. */
  #limit = Infinity;

  /** @type {Moment} */
  #now = { kernel: [], loss: NaN, gradient: [], rate: NaN };

  /** The moment before, from the first step on. @type {Moment | undefined} */
  #before = undefined;

  /** The logarithm of the loss, at the start and after each step. @type {number[]} */
  #losses = [];

  /** For each number of the kernel, what it was at the start and after each step. @type {number[][]} */
  #lines = [];

  /** The number of the kernel that the reader points at. @type {[number, number] | undefined} */
  #pointed = undefined;

  #input = fine(
    new Matrix("X", "x", {
      edit: (i, j, value) => this.change({ X: replaced(this.state.X, i, j, value) }),
    }),
  );

  #output = fine(new Matrix("Output now", "y"));

  #wantedOutput = fine(new Matrix("Y, wanted", "y"));

  #kernel = fine(
    new Matrix("Kernel now", "k", {
      point: (place) => {
        this.#pointed = place;
        this.#drawNumbers();
      },
    }),
  );

  #wantedKernel = fine(
    new Matrix("K, wanted", "k", {
      edit: (i, j, value) => this.change({ K: replaced(this.state.K, i, j, value) }),
    }),
  );

  #note = make("p", { class: "note", role: "status" });

  /** The buttons that take steps. */
  #forward = [
    this.button("Step", () => this.#advance(1)),
    this.playControl("Play", () => this.#advance(calm() ? STEPS : 1), 120),
  ];

  #again = this.button("Start again", () => {
    this.stop();
    this.#begin(this.state);
    this.draw();
  });

  #lossChart = make("svg", { class: "chart y", viewBox: "0 0 340 200", role: "img" });

  #numberChart = make("svg", { class: "chart k", viewBox: "0 0 340 200", role: "img" });

  /** @param {State} state */
  settle(state) {
    const { X } = state;
    if (state.K.length > X.length || state.K[0].length > X[0].length) {
      state.K = state.K.slice(0, X.length)
        .map((/** @type {number[]} */ values) => values.slice(0, X[0].length));
    }
    const { K, start } = state;
    if (start.length !== K.length || start[0].length !== K[0].length) {
      state.start = K.map((/** @type {number[]} */ values) => values.map(() => 0.2));
    }
    const given = [X, K, state.start];
    if (JSON.stringify(given) === JSON.stringify(this.#given)) return;
    this.#given = given;
    this.#Y = corr2d(X, K);
    this.#limit = largestRate(X, K);
    this.#begin(state);
  }

  /**
   * Go back to step 0.
   * @param {State} state
   */
  #begin({ X, start, learning_rate }) {
    this.#before = undefined;
    this.#losses = [];
    this.#lines = start.flat().map(() => []);
    this.#reach({ kernel: start, ...squaredError(X, start, this.#Y), rate: learning_rate });
  }

  /** @param {Moment} moment */
  #reach(moment) {
    this.#now = moment;
    this.#losses.push(Math.log10(Math.max(moment.loss, 1e-16)));
    for (const [n, k] of moment.kernel.flat().entries()) this.#lines[n].push(k);
  }

  get #steps() {
    return this.#losses.length - 1;
  }

  reset() {
    this.#given = [];
    super.reset();
  }

  build() {
    const kernels = this.choiceControl("kernel to be found", {
      options: { ...KERNELS, own: "your own" },
      get: () => {
        const text = kernelKind.write(this.state.K);
        return text in KERNELS ? text : "own";
      },
      set: (text) => {
        this.change({ K: kernelKind.read(text) });
        // For another kernel the rate may be too large: then it becomes one that suits.
        const { learning_rate } = this.state;
        if (learning_rate > this.#limit) this.change({ learning_rate: suited(this.#limit) });
      },
    });
    // It is chosen by writing numbers into the table.
    kernels.querySelector("[value=own]")?.toggleAttribute("disabled", true);
    const rate = this.sliderControl("learning rate", {
      least: 0,
      most: RATES.length - 1,
      get: () => nearest(this.state.learning_rate),
      set: (n) => this.change({ learning_rate: RATES[n] }),
      show: () => {
        const limit = Number.isFinite(this.#limit) ? `, diverges above ${format(this.#limit)}` : "";
        return format(this.state.learning_rate) + limit;
      },
    });
    return [
      row(this.#input.element, this.#output.element, this.#wantedOutput.element),
      row(this.#kernel.element, this.#wantedKernel.element, kernels),
      row(rate),
      row(
        ...this.#forward,
        this.#again,
        this.button("Another start", () => {
          const start = this.state.K.map((/** @type {number[]} */ values) =>
            values.map(() => rounded(2 * Math.random() - 1, 2))
          );
          this.change({ start });
        }),
      ),
      this.#note, // below the buttons, which stay where they are when it becomes longer
      row(this.#lossChart, this.#numberChart),
    ];
  }

  /**
   * Take steps, up to the end of the run.
   * @param {number} steps
   * @returns {boolean} Whether there is more to do.
   */
  #advance(steps) {
    const { X, learning_rate: rate } = this.state;
    let more = !this.#diverged();
    for (let n = 0; n < steps && more; n++) {
      const { kernel: old, gradient } = this.#before = this.#now;
      const kernel = old.map((values, a) => values.map((k, b) => k - rate * gradient[a][b]));
      const { loss, gradient: next } = squaredError(X, kernel, this.#Y);
      this.#reach({ kernel, loss, gradient: next, rate });
      // Who plays after the end gets as many steps again.
      more = !this.#diverged() && loss >= FOUND && this.#steps % STEPS !== 0;
    }
    if (!more) this.stop(); // before the note changes, so that the end is read aloud
    const { activeElement } = /** @type {ShadowRoot} */ (this.shadowRoot);
    this.draw();
    // The focus must not vanish with a button that can do no more.
    const used = this.#forward.find((button) => button === activeElement);
    if (used?.disabled) this.#again.focus();
    return more;
  }

  /** Whether the last step made the loss larger, and the next one would be as long or longer. */
  #grows() {
    if (!this.#before) return false;
    const { loss, rate } = this.#now;
    const larger = !(loss <= this.#before.loss) && !(loss < FOUND); // so is NaN
    return larger && this.state.learning_rate >= rate;
  }

  #diverged() {
    return this.#grows() && !(this.#now.loss <= DIVERGED);
  }

  draw() {
    const { X, K } = this.state;
    const { kernel } = this.#now;
    for (const button of this.#forward) button.disabled = this.#diverged();
    this.#input.show(X, { lit: shade(X, X) });
    inUnits(this.#wantedOutput, "Y, wanted", this.#Y, shade(this.#Y, this.#Y));
    const output = corr2d(X, kernel);
    inUnits(this.#output, "Output now", output, shade(output, this.#Y));
    inUnits(this.#kernel, "Kernel now", kernel);
    this.#wantedKernel.show(K);
    this.#note.setAttribute("aria-live", this.playing ? "off" : "polite");
    say(this.#note, this.#words());
    this.#drawLosses();
    this.#drawNumbers();
  }

  #words() {
    const { kernel, loss } = this.#now;
    const numbers = kernel.flat().map((k) => any(rounded(k, 3))).join(", ");
    const now = `Step ${this.#steps}: loss ${any(loss)}, kernel ${numbers}`;
    if (this.#diverged()) {
      return `${now}. It has diverged: start again with a smaller learning rate.`;
    }
    if (this.#grows()) return `${now}. The loss grows: the learning rate is too large.`;
    const K = this.state.K.flat();
    if (loss < FOUND && kernel.flat().some((k, n) => Math.abs(k - K[n]) > 0.01)) {
      return `${now}. It is not K, but its output is the same: this X does not tell them apart.`;
    }
    return now;
  }

  #drawLosses() {
    const [least, most] = extremes([this.#losses]);
    const low = Math.min(Math.floor(least), Math.log10(FOUND));
    const high = Math.max(Math.ceil(most), 1);
    const between = Math.ceil((high - low) / 5);
    /** @type {[number, string][]} */
    const ticks = [];
    for (let power = low; power <= high; power += between) {
      const text = power < -3 || power > 4 ? `1e${format(power)}` : format(10 ** power);
      ticks.push([power, text]);
    }
    plot(this.#lossChart, "loss", [{ values: this.#losses }], { low, high, ticks });
    const losses = [this.#losses[0], this.#losses[this.#steps]].map((power) => 10 ** power);
    this.#lossChart.setAttribute("aria-label", `The loss ${way(losses, this.#steps)}.`);
  }

  #drawNumbers() {
    const wanted = this.state.K.flat();
    const columns = this.state.K[0].length;
    const lines = this.#lines.map((values, n) => {
      const place = [Math.floor(n / columns), n % columns];
      // A row has a colour, a column has its dashes.
      return {
        values,
        name: `K${index(place[0])}${index(place[1])}`,
        kind: ["k", "x", "y"][place[0]],
        dashes: DASHES[place[1]],
        pointed: String(place) === String(this.#pointed),
      };
    });
    const [least, most] = extremes([wanted, ...this.#lines]);
    plot(this.#numberChart, "numbers of the kernel", lines, linear(least, most), wanted);
    const words = lines.map(({ name, values }, n) =>
      `${name} ${way([values[0], values[this.#steps]], this.#steps)}, wanted ${format(wanted[n])}`
    );
    this.#numberChart.setAttribute("aria-label", `The numbers of the kernel: ${words.join("; ")}.`);
  }
}

/**
 * The largest learning rate of the slider that is well below the largest one that converges.
 * @param {number} limit
 */
function suited(limit) {
  return RATES.findLast((rate) => rate <= 0.6 * limit) ?? RATES[0];
}

/**
 * The largest learning rate that converges: 2 / λ, with the largest eigenvalue λ of the loss's
 * second derivatives, 2 AᵀA. What AᵀA makes of a kernel are two correlations with X, and repeating
 * it turns nearly every kernel towards the eigenvector of λ.
 * @param {number[][]} X
 * @param {number[][]} K Only its shape counts.
 */
function largestRate(X, K) {
  let kernel = K.map((values, a) => values.map((_, b) => Math.cos(a * values.length + b)));
  let [size, before, last] = [Math.hypot(...kernel.flat()), 0, -1];
  for (let n = 0; n < STEPS && Math.abs(before - last) > 1e-12 * before; n++) {
    kernel = kernel.map((values) => values.map((k) => k / size));
    kernel = corr2d(X, corr2d(X, kernel));
    size = Math.hypot(...kernel.flat());
    [last, before] = [before, size];
    if (size === 0) break;
  }
  return 1 / size;
}

/**
 * Where a rate stands among those of the slider.
 * @param {number} rate
 */
function nearest(rate) {
  const distances = RATES.map((each) => Math.abs(Math.log(each / rate)));
  return distances.indexOf(Math.min(...distances));
}

// --- Tables --------------------------------------------------------------------------------------

/**
 * Make the numbers of a table small.
 * @param {Matrix} matrix
 */
function fine(matrix) {
  matrix.element.classList.add("fine");
  return matrix;
}

/**
 * Show numbers of any size in small cells: large ones in units of a power of ten.
 * @param {Matrix} matrix
 * @param {string} name
 * @param {number[][]} values
 * @param {(i: number, j: number) => number} [lit]
 */
function inUnits(matrix, name, values, lit) {
  const most = Math.max(...values.flat().map(Math.abs));
  const unit = most < 999.5 ? 1 : 10 ** Math.floor(Math.log10(most));
  const asked = unit === 1 ? name : `${name}, in units of ${any(unit)}`;
  if (asked !== matrix.name) matrix.rename(asked);
  const short = (/** @type {number} */ value) => Number(rounded(value / unit, 2).toPrecision(3));
  matrix.show(values.map((each) => each.map(short)), { lit });
}

/**
 * Fill cells by the size of their numbers.
 * @param {number[][]} values
 * @param {number[][]} full The largest of these is in full colour.
 * @returns {(i: number, j: number) => number}
 */
function shade(values, full) {
  const most = Math.max(...full.flat().map(Math.abs)) || 1;
  return (i, j) => Math.min(1, Math.abs(values[i][j]) / most);
}

// --- Words ---------------------------------------------------------------------------------------

/**
 * @param {number[]} ends The first value and the last.
 * @param {number} steps
 */
function way([first, last], steps) {
  return steps === 0
    ? `is ${any(first)}`
    : `goes from ${any(first)} to ${any(last)} in ${steps} steps`;
}

/**
 * A digit as an index.
 * @param {number} digit
 */
function index(digit) {
  return String.fromCharCode(0x2080 + digit);
}

// --- Charts --------------------------------------------------------------------------------------

const [LEFT, RIGHT, TOP, BOTTOM] = [44, 306, 24, 170];

const DASHES = ["none", "7 3", "2 3"];

/** The most stretches into which a line is divided: there are no more pixels. */
const STRETCHES = 200;

/** @typedef {{values: number[], name?: string, kind?: string, dashes?: string, pointed?: boolean}} Line */

/**
 * The steps at which a line is drawn: all, if they are few, or else the least and the largest value
 * of each stretch, and the last.
 * @param {number[]} values
 * @returns {number[]}
 */
function drawn(values) {
  const length = Math.ceil(values.length / STRETCHES);
  if (length === 1) return Array.from(values.keys());
  const steps = [];
  for (let first = 0; first < values.length; first += length) {
    let [low, high] = [first, first];
    for (let n = first; n < Math.min(first + length, values.length); n++) {
      if (values[n] < values[low]) low = n;
      if (values[n] > values[high]) high = n;
    }
    steps.push(...new Set([Math.min(low, high), Math.max(low, high)]));
  }
  if (steps[steps.length - 1] < values.length - 1) steps.push(values.length - 1);
  return steps;
}

/**
 * Draw lines over the steps.
 * @param {SVGElement} svg
 * @param {string} title
 * @param {Line[]} lines
 * @param {Scale} scale
 * @param {number[]} wanted Levels to be reached.
 */
function plot(svg, title, lines, { low, high, ticks }, wanted = []) {
  const now = lines[0].values.length - 1;
  const end = [20, 50, 100].find((n) => n >= now) ?? Math.ceil(now / STEPS) * STEPS;
  const x = (/** @type {number} */ step) => +(LEFT + (RIGHT - LEFT) * step / end).toFixed(1);
  const y = (/** @type {number} */ value) =>
    +(BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low || 1)).toFixed(1);
  const parts = [make("text", { x: LEFT, y: 12 }, title)];
  for (const [value, text] of ticks) {
    const at = y(value);
    parts.push(make("line", { x1: LEFT, x2: RIGHT, y1: at, y2: at }));
    parts.push(make("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, text));
  }
  for (const step of [0, end / 2, end]) {
    const where = { x: x(step), y: BOTTOM + 17, "text-anchor": "middle" };
    parts.push(make("text", where, step === end ? `${end} steps` : String(step)));
  }
  for (const value of new Set(wanted)) {
    const at = y(value);
    parts.push(make("line", { class: "wanted", x1: LEFT, x2: RIGHT, y1: at, y2: at }));
  }
  const ends = lines.map(({ values }) => y(values[now]));
  const labels = apart(ends, 12, BOTTOM);
  lines.forEach(({ values, name, kind, dashes, pointed }, n) => {
    const points = drawn(values).map((step) => `${x(step)},${y(values[step])}`).join(" ");
    const line = make("polyline", { points, "stroke-dasharray": dashes ?? "none" });
    const group = make("g", {}, line, make("circle", { cx: x(now), cy: ends[n], r: 2.5 }));
    if (kind) group.classList.add(kind);
    if (pointed) group.classList.add("pointed");
    if (name) {
      const at = { x1: x(now) + 3, y1: ends[n], x2: x(now) + 10, y2: labels[n] };
      group.append(make("line", at), make("text", { x: x(now) + 12, y: labels[n] + 4 }, name));
    }
    parts.push(group);
  });
  svg.replaceChildren(...parts);
}

define("cnn-learning", Learning);
