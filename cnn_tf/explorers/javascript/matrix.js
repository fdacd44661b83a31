/** Matrices of numbers that a reader can point at, walk through with the arrow keys, and change. */

import { arrow, make, say } from "./element.js";
import { Entry, format } from "./numbers.js";

/** @typedef {[number, number]} Place A row and a column. */

/**
 * @typedef {object} Marks
 * @property {(i: number, j: number) => number} [lit] How strongly a cell is filled, from 0 to 1.
 * @property {(i: number, j: number) => boolean} [dashed] Whether its edge is dashed.
 * @property {(i: number, j: number) => boolean} [marked] Whether it has a frame.
 */

/** What can be typed into a cell. */
const LIMITS = { least: -1e6, most: 1e6 };

/** The width of a cell with few digits, in em: it is as wide as high. */
const CELL = 2.4;

/** A table of numbers with a name above it. */
export class Matrix {
  /** @type {HTMLElement} */
  element;

  /** Where the arrow keys are. @type {Place} */
  #place = [0, 0];

  /** @type {number[][]} */
  #values = [];

  /** @type {WeakMap<HTMLInputElement, Entry>} */
  #entries = new WeakMap();

  /** Why what stands in a cell is not taken. */
  #refused = make("p", { class: "refused", role: "alert" });

  #columns = make("colgroup");

  /** What is told of the widths of the columns. */
  #widths = "";

  /**
   * @param {string} name What stands above the table, and what a screen reader says.
   * @param {"x" | "k" | "y"} kind Input, kernel or output: it decides the colour.
   * @param {object} options
   * @param {(i: number, j: number, value: number) => void} [options.edit] Called with a new number.
   * @param {(place: Place | undefined) => void} [options.point] Called with the cell under the
   *   pointer or the focus, and without one when they leave.
   * @param {(place: Place) => void} [options.choose] Called with a cell that is clicked.
   * @param {number} [options.least] The least width of a column in em, for numbers that change often.
   */
  constructor(name, kind, { edit, point, choose, least = CELL } = {}) {
    this.least = least;
    this.name = name;
    this.edit = edit;
    this.point = point;
    this.choose = choose;
    this.caption = make("figcaption", { class: "name" }, name);
    this.body = make("tbody");
    this.table = make("table", { "aria-label": name }, this.#columns, this.body);
    this.element = make("figure", { class: `matrix ${kind}` }, this.caption, this.table);
    if (edit) this.element.append(this.#refused);
    this.table.addEventListener(
      "keydown",
      (/** @type {KeyboardEvent} */ event) => this.#key(event),
    );
    if (point) {
      this.table.addEventListener("pointerleave", () => point(undefined));
      this.table.addEventListener("focusout", () => point(undefined));
    }
  }

  /** In em. */
  get width() {
    return Number(this.table.style.getPropertyValue("--width"));
  }

  /** @param {string} name */
  rename(name) {
    this.caption.textContent = this.name = name;
    this.table.setAttribute("aria-label", name);
  }

  /**
   * Show these numbers, with these marks; NaN is an empty cell.
   * @param {number[][]} values
   * @param {Marks} marks
   */
  show(values, { lit, dashed, marked } = {}) {
    const [h, w] = [values.length, values[0]?.length ?? 0];
    const full = h !== this.#values.length || w !== (this.#values[0]?.length ?? 0);
    this.#values = values;
    if (full) this.#fill(h, w);
    const widths = new Array(w).fill(this.least);
    for (let i = 0; i < h; i++) {
      for (let j = 0; j < w; j++) {
        const cell = this.body.rows[i].cells[j];
        // Only what is new: the browser looks anew at each cell that is touched.
        const part = lit?.(i, j) ?? 0;
        const fill = String(part);
        if (cell.style.getPropertyValue("--lit") !== fill) cell.style.setProperty("--lit", fill);
        const look = [
          dashed?.(i, j) ? "dashed" : "",
          marked?.(i, j) ? "mark" : "",
          part === 1 ? "lit" : "",
        ].filter(Boolean).join(" ");
        if (cell.className !== look) cell.className = look;
        const inner = cell.firstChild;
        if (inner instanceof HTMLInputElement) {
          this.#entries.get(inner)?.show();
          widths[j] = Math.max(widths[j], width(inner.value));
        } else {
          const text = Number.isNaN(values[i][j]) ? "" : format(values[i][j]);
          if (inner.textContent !== text) inner.textContent = text;
          widths[j] = Math.max(widths[j], width(text));
        }
      }
    }
    this.#widen(widths);
  }

  /**
   * Give each column the room that its longest number needs.
   * @param {number[]} widths In em.
   */
  #widen(widths) {
    const told = widths.join(" ");
    if (told === this.#widths) return;
    this.#widths = told;
    const columns = widths.map((each) => make("col", { style: `width: ${each}em` }));
    this.#columns.replaceChildren(...columns);
    const all = widths.reduce((sum, each) => sum + each, 0);
    this.table.style.setProperty("--width", String(all));
  }

  /**
   * Make the cells that are missing, and take away those too many.
   * @param {number} h
   * @param {number} w
   */
  #fill(h, w) {
    this.table.style.setProperty("--columns", String(w));
    this.#place = [Math.min(this.#place[0], h - 1), Math.min(this.#place[1], w - 1)];
    while (this.body.rows.length > h) this.body.deleteRow(-1);
    for (let i = 0; i < h; i++) {
      const line = this.body.rows[i] ?? this.body.insertRow();
      while (line.cells.length > w) line.deleteCell(-1);
      for (let j = line.cells.length; j < w; j++) line.append(make("td", {}, this.#cell(i, j)));
    }
    this.#move(this.#place);
  }

  /**
   * @param {number} i
   * @param {number} j
   */
  #cell(i, j) {
    const place = `${this.name}, row ${i + 1}, column ${j + 1}`;
    const here = i === this.#place[0] && j === this.#place[1];
    /** @type {{[name: string]: any}} */
    const attributes = { tabindex: here ? 0 : -1 };
    attributes.onfocus = () => {
      this.#move([i, j]);
      this.point?.([i, j]);
    };
    if (this.point) attributes.onpointerenter = () => this.point?.([i, j]);
    if (this.choose) attributes.onclick = () => this.choose?.([i, j]);
    if (!this.edit) {
      if (!this.point && !this.choose) return make("span");
      return make("button", { type: "button", ...attributes });
    }
    const input = make("input", {
      ...attributes,
      "aria-label": place,
      inputmode: "text",
      autocomplete: "off",
    });
    let before = 0;
    const entry = new Entry(input, {
      limits: () => LIMITS,
      get: () => this.#values[i][j],
      set: (value) => this.edit?.(i, j, value),
      begin: () => before = this.#values[i][j],
      undo: () => this.edit?.(i, j, before),
      tell: (reason) => {
        say(this.#refused, reason && `Row ${i + 1}, column ${j + 1}: ${reason}`);
        // What is refused is not cut, either.
        const widths = this.#widths.split(" ").map(Number);
        this.#widen(widths.with(j, Math.max(widths[j], width(input.value))));
      },
    });
    this.#entries.set(input, entry);
    return input;
  }

  /** @param {Place} place */
  #at([i, j]) {
    return /** @type {HTMLElement} */ (this.body.rows[i]?.cells[j]?.firstChild);
  }

  /**
   * Let the Tab key lead to this cell.
   * @param {Place} place
   */
  #move(place) {
    this.#at(this.#place)?.setAttribute("tabindex", "-1");
    this.#place = place;
    const cell = this.#at(place);
    if (!(cell instanceof HTMLSpanElement)) cell.setAttribute("tabindex", "0"); // that is for show
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = arrow(event);
    if (!step) return;
    const input = event.target;
    if (input instanceof HTMLInputElement && step[0] === 0) {
      // Within a number the arrows move the caret; at its ends, to the next cell.
      const all = input.selectionStart === 0 && input.selectionEnd === input.value.length;
      const end = step[1] < 0 ? 0 : input.value.length;
      if (!all && (input.selectionStart !== end || input.selectionEnd !== end)) return;
    }
    const next = /** @type {Place} */ ([this.#place[0] + step[0], this.#place[1] + step[1]]);
    const cell = this.#at(next);
    if (!cell) return;
    event.preventDefault();
    cell.focus();
    if (cell instanceof HTMLInputElement) cell.select();
  }
}

/**
 * The width of a cell with this text, in em.
 * @param {string} text
 */
function width(text) {
  if (text.length <= 3) return CELL;
  const letters = text.length - 0.5 * (text.match(/[.,]/g)?.length ?? 0);
  return Math.max(CELL, +(0.58 * letters + 0.4).toFixed(1));
}

/**
 * A copy of a matrix with one number changed.
 * @param {number[][]} values
 * @param {number} i
 * @param {number} j
 * @param {number} value
 */
export function replaced(values, i, j, value) {
  return values.map((row, u) => u === i ? row.map((old, v) => (v === j ? value : old)) : row);
}

/** Changes the sizes of a matrix, and keeps what it cuts off for when the matrix grows again. */
export class Resizer {
  /** @type {number[][]} */
  #cells = [];

  /**
   * A copy with other sizes. New cells hold what they held before, or else count on from the left
   * and from above.
   * @param {number[][]} values
   * @param {number} h
   * @param {number} w
   * @param {number} more What is added to those that count.
   */
  resized(values, h, w, more = 0) {
    values.forEach((row, i) => row.forEach((value, j) => (this.#cells[i] ??= [])[j] = value));
    return Array.from({ length: h }, (_, i) =>
      Array.from(
        { length: w },
        (_, j) => values[i]?.[j] ?? this.#cells[i]?.[j] ?? (i * w + j) % 10 + more,
      ));
  }
}
