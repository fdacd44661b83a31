/** The runs in a table, where one of them is chosen, and removed. */

import { make, say } from "./element.js";
import { rounded } from "./numbers.js";

/** @typedef {import("./run.js").Run} Run */

/** Each run has a colour, dashes and a number. */
const COLOURS = ["x", "k", "y"];
const DASHES = ["none", "8 3", "2 3", "8 3 2 3", "4 2", "12 3 2 3 2 3"];

export const MOST_RUNS = DASHES.length;

/**
 * How the lines of a run look.
 * @param {Run} run
 */
export function look({ place }) {
  return { kind: COLOURS[place % COLOURS.length], dashes: DASHES[place], name: String(place + 1) };
}

/**
 * A piece of a line, to be seen in a text.
 * @param {string} kind
 * @param {string} dashes
 */
export function sample(kind, dashes) {
  const line = make("line", { x1: 0, x2: 30, y1: 6, y2: 6, "stroke-dasharray": dashes });
  return make(
    "svg",
    { class: `sample ${kind}`, viewBox: "0 0 30 12", "aria-hidden": "true" },
    line,
  );
}

/** @param {number} share */
export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

/**
 * A loss, with as many digits as tell the plateau.
 * @param {number} value
 */
export function inDigits(value) {
  return rounded(value, 3).toFixed(3);
}

export class RunTable {
  #body = make("tbody");

  element = make(
    "table",
    { class: "runs", "aria-label": "Your runs", hidden: true },
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        ...["run", "step", "loss", "right"].map((name) => make("th", { scope: "col" }, name)),
        make("td"),
      ),
    ),
    this.#body,
  );

  /** @type {Map<Run, HTMLTableRowElement>} */
  #rows = new Map();

  /**
   * @param {(run: Run) => void} choose
   * @param {(run: Run) => void} remove
   */
  constructor(choose, remove) {
    this.choose = choose;
    this.remove = remove;
  }

  /**
   * @param {Run[]} runs
   * @param {Run | undefined} shown
   */
  show(runs, shown) {
    for (const [run, line] of this.#rows) {
      if (runs.includes(run)) continue;
      line.remove();
      this.#rows.delete(run);
    }
    for (const run of runs) {
      const line = this.#rows.get(run) ?? this.#insert(run);
      const numbers = [String(run.step), shortly(inDigits, run.loss), shortly(percent, run.right)];
      numbers.forEach((text, n) => say(line.cells[n + 1], text));
      /** @type {HTMLInputElement} */ (line.querySelector("input")).checked = run === shown;
    }
    this.element.hidden = !runs.length;
  }

  /**
   * Make the row of a run, in its place.
   * @param {Run} run
   * @returns {HTMLTableRowElement}
   */
  #insert(run) {
    const line = this.#line(run);
    const after = [...this.#rows].filter(([{ place }]) => place > run.place)
      .sort(([a], [b]) => a.place - b.place)[0];
    this.#body.insertBefore(line, after?.[1] ?? null);
    this.#rows.set(run, line);
    return line;
  }

  /** @param {Run} run */
  #line(run) {
    const { kind, dashes, name } = look(run);
    const radio = make("input", { type: "radio", name: "run", onchange: () => this.choose(run) });
    const label = make("label", {}, radio, sample(kind, dashes), `${name}: ${run.name}`);
    const remove = make("button", {
      type: "button",
      "aria-label": `Remove run ${name}`,
      title: "Remove",
      onclick: () => this.remove(run),
    }, "×");
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, label),
      make("td"),
      make("td"),
      make("td"),
      make("td", {}, remove),
    );
  }
}

/**
 * @param {(value: number) => string} write
 * @param {number} value
 */
function shortly(write, value) {
  return Number.isFinite(value) ? write(value) : "–";
}
