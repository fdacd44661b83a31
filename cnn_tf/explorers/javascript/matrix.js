/** Matrices of numbers that a reader can point at, walk through with the arrow keys, and change. */

import { arrow, format, make, number } from "./element.js";

/** @typedef {[number, number]} Place A row and a column. */

/**
 * @typedef {object} Marks
 * @property {(i: number, j: number) => number} [lit] How strongly a cell is filled, from 0 to 1.
 * @property {(i: number, j: number) => boolean} [dashed] Whether its edge is dashed.
 * @property {(i: number, j: number) => boolean} [marked] Whether it has a frame.
 */

const any = number(-1e6, 1e6);

/** A table of numbers with a name above it. */
export class Matrix {
  /** @type {HTMLElement} */
  element;

  /** Where the arrow keys are. @type {Place} */
  #place = [0, 0];

  /** @type {number[][]} */
  #values = [];

  /**
   * @param {string} name What stands above the table, and what a screen reader says.
   * @param {"x" | "k" | "y"} kind Input, kernel or output: it decides the colour.
   * @param {object} options
   * @param {(i: number, j: number, value: number) => void} [options.edit] Called with a new number.
   * @param {(place: Place | undefined) => void} [options.point] Called with the cell under the
   *   pointer or the focus, and without one when they leave.
   * @param {(place: Place) => void} [options.choose] Called with a cell that is clicked.
   */
  constructor(name, kind, { edit, point, choose } = {}) {
    this.name = name;
    this.edit = edit;
    this.point = point;
    this.choose = choose;
    this.caption = make("figcaption", { class: "name" }, name);
    this.body = make("tbody");
    this.table = make("table", { "aria-label": name }, this.body);
    this.element = make("figure", { class: `matrix ${kind}` }, this.caption, this.table);
    this.table.addEventListener(
      "keydown",
      (/** @type {KeyboardEvent} */ event) => this.#key(event),
    );
    if (point) {
      this.table.addEventListener("pointerleave", () => point(undefined));
      this.table.addEventListener("focusout", () => point(undefined));
    }
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
    if (h !== this.#values.length || w !== (this.#values[0]?.length ?? 0)) this.#fill(h, w);
    this.#values = values;
    for (let i = 0; i < h; i++) {
      for (let j = 0; j < w; j++) {
        const cell = this.body.rows[i].cells[j];
        // Only what is new: the browser looks anew at each cell that is touched.
        const fill = String(lit?.(i, j) ?? 0);
        if (cell.style.getPropertyValue("--lit") !== fill) cell.style.setProperty("--lit", fill);
        const look = `${dashed?.(i, j) ? "dashed" : ""} ${marked?.(i, j) ? "mark" : ""}`.trim();
        if (cell.className !== look) cell.className = look;
        const inner = cell.firstChild;
        const text = Number.isNaN(values[i][j]) ? "" : format(values[i][j]);
        if (!(inner instanceof HTMLInputElement)) {
          if (inner.textContent !== text) inner.textContent = text;
        } else if (any.read(inner.value) !== values[i][j] && !this.#typed(inner)) {
          inner.value = text;
          inner.removeAttribute("aria-invalid");
        }
      }
    }
  }

  /**
   * Whether the reader is typing there what is no number yet.
   * @param {HTMLInputElement} input
   */
  #typed(input) {
    const root = /** @type {ShadowRoot} */ (input.getRootNode());
    return root.activeElement === input && input.hasAttribute("aria-invalid");
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
      oninput: () => {
        const value = any.read(input.value);
        input.toggleAttribute("aria-invalid", false);
        if (value === undefined) input.setAttribute("aria-invalid", "true");
        else this.edit?.(i, j, value);
      },
      onblur: () => {
        input.value = format(this.#values[i][j]);
        input.removeAttribute("aria-invalid");
      },
    });
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
    this.#at(place).setAttribute("tabindex", "0");
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
 * A copy of a matrix with one number changed.
 * @param {number[][]} values
 * @param {number} i
 * @param {number} j
 * @param {number} value
 */
export function replaced(values, i, j, value) {
  return values.map((row, u) => u === i ? row.map((old, v) => (v === j ? value : old)) : row);
}

/**
 * A copy with another number of rows and columns; new cells count on from the left and from above.
 * @param {number[][]} values
 * @param {number} h
 * @param {number} w
 */
export function resized(values, h, w) {
  return Array.from(
    { length: h },
    (_, i) => Array.from({ length: w }, (_, j) => values[i]?.[j] ?? (i * w + j) % 10),
  );
}
