/** The receptive field: a stack of layers, and what one output of each layer sees of a picture. */

import { receptiveField } from "./arithmetic.js";
import { define, Explorer, integer, list, make, result, row, say } from "./element.js";
import { LIMITS } from "./limits.js";
import { unpack } from "./packed.js";
import { canvas, frame, overlay, paint } from "./picture.js";

/** @typedef {import("./element.js").State} State */

const { layers: [, MOST], ...OF_A_LAYER } = LIMITS["receptive-field"];

/** Of the three numbers of a layer. @type {[string, number][]} */
const LARGEST = Object.entries(OF_A_LAYER).map(([name, [, most]]) => [name, most]);

export class ReceptiveField extends Explorer {
  static kinds = {
    layers: list(list(integer(...OF_A_LAYER["kernel size"]), ",", 3), ";", 1, MOST),
  };

  static defaults = { layers: [[5, 1, 1], [2, 2, 1], [5, 1, 1], [2, 2, 1]] };

  /** The layer under the pointer. @type {number | undefined} */
  #pointed = undefined;

  /** The layer that has the focus. @type {number | undefined} */
  #focused = undefined;

  #canvas = canvas("Picture, with a frame around the field of each layer", 320);

  #over = overlay(this.#canvas);

  #formula = make("div");

  #cut = make("div");

  #undone = make("div");

  #note = make("div", { class: "note", role: "status" }, this.#formula, this.#cut, this.#undone);

  /** What a setting has undone. */
  #news = "";

  /** All rows that there can be; those without a layer are hidden. @type {HTMLTableRowElement[]} */
  #rows = [];

  /** The button of each row that removes its layer. @type {HTMLButtonElement[]} */
  #removers = [];

  #add = this.button("Add a layer", () => {
    this.#news = "";
    this.change({ layers: [...this.state.layers, [3, 1, 1]] });
    // The focus must not vanish with the button's use.
    if (this.#add.disabled) this.#removers[MOST - 1].focus();
  });

  /** @param {State} state */
  settle(state) {
    // Keras has no layer with a stride and a dilation.
    state.layers = state.layers.map((/** @type {number[]} */ layer) => {
      const [k, s, d] = layer.map((value, n) => Math.min(value, LARGEST[n][1]));
      return [k, s, s > 1 ? 1 : d];
    });
  }

  reset() {
    this.#news = "";
    super.reset();
  }

  build() {
    paint(this.#canvas, unpack(this.data.picture));
    const { width, height } = this.#canvas;
    this.#over.drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#rows = Array.from({ length: MOST }, (_, n) => this.#row(n));
    const names = ["layer", "kernel k", "stride s", "dilation d", "field r", "jump j", ""];
    const heads = names.map((name) => make(name ? "th" : "td", name ? { scope: "col" } : {}, name));
    const table = make(
      "table",
      { class: "layers", "aria-label": "Layers" },
      make("thead", {}, make("tr", {}, ...heads)),
      make("tbody", {}, ...this.#rows),
    );
    return [result(row(this.#over.element), this.#note), table, this.#add];
  }

  /**
   * The row of one layer.
   * @param {number} n
   * @returns {HTMLTableRowElement}
   */
  #row(n) {
    const fields = LARGEST.map(([name, most], which) =>
      this.numberControl(`${name} of layer ${n + 1}`, {
        least: 1,
        most,
        hidden: true,
        get: () => this.state.layers[n]?.[which] ?? 1,
        set: (value) => this.#set(n, which, value),
      })
    );
    const remove = this.#removers[n] = this.button("×", () => this.#remove(n));
    remove.setAttribute("aria-label", `Remove layer ${n + 1}`);
    return make(
      "tr",
      {
        onpointerenter: () => this.#choose({ pointed: n }),
        onpointerleave: () => this.#choose({ pointed: undefined }),
        onfocusin: () => this.#choose({ focused: n }),
        onfocusout: () => this.#choose({ focused: undefined }),
      },
      make("th", { scope: "row" }, String(n + 1)),
      ...fields.map((field) => make("td", {}, field)),
      make("td"),
      make("td"),
      make("td", {}, remove),
    );
  }

  /**
   * Set a number of a layer.
   * @param {number} n
   * @param {number} which
   * @param {number} value
   */
  #set(n, which, value) {
    const layer = this.state.layers[n].with(which, value);
    // The number set last holds: the other one goes back to 1.
    const [other, name] = which === 1 ? [2, "dilation"] : [1, "stride"];
    const both = layer[1] > 1 && layer[2] > 1;
    if (both) layer[other] = 1;
    this.#news = both
      ? `Keras has no layer with a stride and a dilation: the ${name} of layer ${n + 1} is 1 again.`
      : "";
    this.change({ layers: this.state.layers.with(n, layer) });
  }

  /** @param {number} n */
  #remove(n) {
    const layers = this.state.layers.toSpliced(n, 1);
    this.#news = "";
    this.change({ layers });
    // The focus must not vanish with its row.
    const button = this.#removers[Math.min(n, layers.length - 1)];
    (button.disabled ? this.#add : button).focus();
  }

  /** @param {{pointed?: number, focused?: number}} place */
  #choose(place) {
    if ("pointed" in place) this.#pointed = place.pointed;
    if ("focused" in place) this.#focused = place.focused;
    this.draw();
  }

  draw() {
    /** @type {number[][]} */
    const layers = this.state.layers;
    const fields = receptiveField(layers.map(([k, s, d]) => ({ k, s, d })));
    const last = layers.length - 1;
    const chosen = Math.min(this.#pointed ?? this.#focused ?? last, last);
    for (const [n, line] of this.#rows.entries()) {
      line.hidden = n > last;
      if (line.hidden) continue;
      line.className = n === chosen ? "lit" : "";
      line.cells[4].textContent = String(fields[n].size);
      line.cells[5].textContent = String(fields[n].jump);
      this.#removers[n].disabled = last === 0;
    }
    this.#add.disabled = layers.length === MOST;

    const { width: w, height: h } = this.#canvas;
    const frames = fields.map(({ size }, n) => {
      const [top, left] = [inner(h, size), inner(w, size)];
      return frame(left.start, top.start, left.cells, top.cells, { chosen: n === chosen });
    });
    // The larger ones first, but the chosen one above all: neighbours can share an edge.
    frames.push(...frames.reverse().splice(last - chosen, 1));
    this.#over.drawing.replaceChildren(...frames);

    const { size, jump } = fields[chosen];
    const before = fields[chosen - 1] ?? { size: 1, jump: 1 };
    const [k, s, d] = layers[chosen];
    const l = String.fromCodePoint(0x2081 + chosen); // the layer's number as an index
    say(
      this.#formula,
      `r${l} = ${before.size} + (${k} − 1) · ${d} · ${before.jump} = ${size}; ` +
        `j${l} = ${before.jump} · ${s} = ${jump}`,
    );
    say(
      this.#cut,
      size > h || size > w
        ? `The field is larger than the picture, ${h} × ${w} pixels: its frame is cut at the edge.`
        : "",
    );
    say(this.#undone, this.#news);
  }
}

/**
 * The part of a field in the middle of one axis that lies within the picture.
 * @param {number} n Pixels of the picture.
 * @param {number} size Pixels of the field.
 */
function inner(n, size) {
  return { start: Math.max(Math.floor((n - size) / 2), 0), cells: Math.min(size, n) };
}

define("cnn-receptive-field", ReceptiveField);
