/** Pooling: the maxima and the means of a picture's windows, and which change when it is shifted. */

import { matrix, pool2d, rows, tensor, useCounts } from "./arithmetic.js";
import {
  arrow,
  beside,
  define,
  Explorer,
  integer,
  list,
  make,
  number,
  pairOf,
  result,
  row,
  say,
  term,
} from "./element.js";
import { LIMITS } from "./limits.js";
import { Matrix, replaced } from "./matrix.js";
import { format, rounded } from "./numbers.js";

/** @typedef {import("./matrix.js").Place} Place */

const BOUNDS = LIMITS.pooling;

/** Pictures up to this wide have cells that hold a number; wider ones are painted. */
const READABLE = 12;

/** The rows and columns that an address holds at most. */
const MOST = 16;

/** @type {{[name: string]: number[][]}} */
const PICTURES = {
  "edge and dot": drawn((i, j) => j >= 6 || (i === 3 && j === 2)),
  "upright edge": drawn((_, j) => j >= 6),
  "dot": drawn((i, j) => i === 4 && j === 4),
  "slanted edge": drawn((i, j) => 2 * j >= i + 6),
  "stripes": drawn((_, j) => j % 4 < 2),
};

const cells = list(list(number(0, 1), ",", 1, MOST), ";", 1, MOST);

/** A large picture would make the address too long: it stays that of the page. */
const pictureKind = {
  read: cells.read,
  /** @param {number[][]} picture */
  write: (picture) =>
    Math.max(picture.length, picture[0].length) > MOST ? "" : cells.write(picture),
};

/** @typedef {ConstructorParameters<typeof Matrix>[2] & {}} Options */

/** A painted matrix, for so many cells that a table of them is slow: pointed at as a `Matrix` is. */
class Painting {
  /** @type {number[][]} */
  #values = [];

  /** @type {import("./matrix.js").Marks} */
  #marks = {};

  /** Where the arrow keys are. @type {Place} */
  #place = [0, 0];

  /**
   * @param {string} name
   * @param {"x" | "y"} kind
   * @param {Options} options
   */
  constructor(name, kind, { point, choose }) {
    this.name = name;
    this.canvas = make("canvas", {
      tabindex: 0,
      role: "application",
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event, { point, choose }),
      onfocus: () => {
        this.show(this.#values, this.#marks);
        point?.(this.#place);
      },
      onblur: () => {
        this.show(this.#values, this.#marks);
        point?.(undefined);
      },
      onpointerleave: () => point?.(undefined),
      onpointermove: (/** @type {PointerEvent} */ event) => point?.(this.#under(event)),
      onclick: (/** @type {PointerEvent} */ event) => {
        this.#place = this.#under(event);
        choose?.(this.#place);
      },
    });
    const caption = make("figcaption", { class: "name" }, name);
    this.element = make("figure", { class: `matrix ${kind}` }, caption, this.canvas);
  }

  /**
   * @param {number[][]} values From 0 to 1.
   * @param {import("./matrix.js").Marks} marks
   */
  show(values, marks) {
    [this.#values, this.#marks] = [values, marks];
    const { lit, marked } = marks;
    const side = 16;
    const [h, w] = [values.length, values[0].length];
    const [row, column] = this.#place = this.#within(...this.#place);
    this.canvas.setAttribute(
      "aria-label",
      `${this.name}, ${h} rows, ${w} columns; the arrow keys choose a cell: row ${row + 1}, ` +
        `column ${column + 1}, ${format(values[row][column])}`,
    );
    [this.canvas.width, this.canvas.height] = [w * side, h * side];
    this.canvas.style.setProperty("--columns", String(w));
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    context.fillStyle = style.getPropertyValue("--color");
    context.strokeStyle = style.color;
    context.lineWidth = 2;
    for (let i = 0; i < h; i++) {
      for (let j = 0; j < w; j++) {
        context.globalAlpha = lit?.(i, j) ?? 0;
        context.fillRect(j * side, i * side, side, side);
        context.globalAlpha = 1;
        const here = i === row && j === column && this.canvas.matches(":focus-visible");
        if (marked?.(i, j)) context.strokeRect(j * side + 2, i * side + 2, side - 4, side - 4);
        if (here) context.strokeRect(j * side - 1, i * side - 1, side + 2, side + 2);
      }
    }
  }

  /**
   * @param {PointerEvent} event
   * @returns {Place}
   */
  #under({ offsetX, offsetY }) {
    const { clientWidth, clientHeight } = this.canvas;
    return this.#within(
      Math.floor(offsetY / clientHeight * this.#values.length),
      Math.floor(offsetX / clientWidth * this.#values[0].length),
    );
  }

  /**
   * The nearest cell that there is.
   * @param {number} i
   * @param {number} j
   * @returns {Place}
   */
  #within(i, j) {
    const [h, w] = [this.#values.length, this.#values[0].length];
    return [Math.max(0, Math.min(i, h - 1)), Math.max(0, Math.min(j, w - 1))];
  }

  /**
   * @param {KeyboardEvent} event
   * @param {Options} options
   */
  #key(event, { point, choose }) {
    const step = arrow(event);
    const [i, j] = this.#place;
    if (step) {
      this.#place = this.#within(i + step[0], j + step[1]);
      this.show(this.#values, this.#marks);
      point?.(this.#place);
    } else if (event.key === " " || event.key === "Enter") choose?.(this.#place);
    else return;
    event.preventDefault();
  }
}

/** Numbers from 0 to 1, as a table or painted. */
class Field {
  /**
   * @param {string} name
   * @param {"x" | "y"} kind
   * @param {Options} options
   */
  constructor(name, kind, options) {
    this.matrix = new Matrix(name, kind, options);
    this.painting = new Painting(name, kind, options);
    this.element = make("div", {}, this.matrix.element, this.painting.element);
  }

  /**
   * @param {number[][]} values
   * @param {import("./matrix.js").Marks} marks
   */
  show(values, marks) {
    const wide = values[0].length > READABLE;
    const brief = values.map((row) => row.map((value) => rounded(value, 2)));
    const all = {
      lit: (/** @type {number} */ i, /** @type {number} */ j) => values[i][j],
      ...marks,
    };
    this.matrix.element.hidden = wide;
    this.painting.element.hidden = !wide;
    if (wide) this.painting.show(brief, all);
    else this.matrix.show(brief, all);
  }
}

export class Pooling extends Explorer {
  static kinds = {
    picture: pictureKind,
    pool_size: integer(...BOUNDS.pool_size),
    strides: integer(...BOUNDS.strides),
    shift: pairOf(...BOUNDS.shift),
  };

  static defaults = {
    picture: PICTURES["edge and dot"],
    pool_size: 2,
    strides: 2,
    shift: [0, 0],
  };

  /** The output that the reader points at. @type {Place | undefined} */
  #pointed = undefined;

  /**
   * Where the pointer went down, and what held there.
   * @type {{x: number, y: number, side: number, shift: Place} | undefined}
   */
  #held = undefined;

  #dragged = false;

  /** The buttons that shift the picture, each with its step down and to the right. */
  #shifters = /** @type {const} */ ([
    ["Left", 0, -1],
    ["Up", -1, 0],
    ["Down", 1, 0],
    ["Right", 0, 1],
  ]).map(([label, down, right]) => ({
    down,
    right,
    button: this.button(label, () => this.#move(down, right)),
  }));

  #picture = new Field("X", "x", {
    choose: (place) => this.#toggle(place),
  });

  #maxima = new Field("maximum", "y", { point: (place) => this.#point(place) });

  #means = new Field("mean", "y", { point: (place) => this.#point(place) });

  #outputs = make("div", { class: "outputs" }, this.#maxima.element, this.#means.element);

  #counts = make("p", { class: "note", role: "status" });

  #window = make("p", { class: "note", role: "status" });

  build() {
    this.#listen(this.#picture.element);
    // A painting takes its colours from the page, which it is not yet on when first drawn.
    this.addEventListener("ready", () => this.draw(), { once: true });
    const pictures = this.choiceControl("Picture", {
      options: {
        ...Object.fromEntries(Object.keys(PICTURES).map((name) => [name, name])),
        own: "your own",
      },
      get: () => {
        const now = String(this.state.picture);
        return Object.keys(PICTURES).find((name) => String(PICTURES[name]) === now) ?? "own";
      },
      set: (name) => this.change({ picture: PICTURES[name] }),
    });
    // It is chosen by clicking cells of X.
    pictures.querySelector("[value=own]")?.toggleAttribute("disabled", true);
    const pooling = beside(this.#picture.element, result(term("→", this.#outputs)));
    pooling.classList.add("pooling");
    return [
      pooling,
      make("div", {}, this.#counts, this.#window),
      make(
        "div",
        { class: "row", role: "group", "aria-label": "Shift X" },
        ...this.#shifters.map(({ button }) => button),
      ),
      row(
        pictures,
        this.#number("Window", "pool_size"),
        this.#number("Stride", "strides"),
      ),
    ];
  }

  /**
   * @param {string} label
   * @param {"pool_size" | "strides"} key
   */
  #number(label, key) {
    return this.numberControl(label, {
      least: BOUNDS[key][0],
      most: BOUNDS[key][1],
      get: () => this.state[key],
      set: (value) => this.change({ [key]: value }),
    });
  }

  /**
   * Let the reader drag the picture.
   * @param {HTMLElement} field
   */
  #listen(field) {
    field.classList.add("movable");
    field.addEventListener("pointerdown", (event) => {
      const cells = /** @type {HTMLElement} */ (event.target).closest("table, canvas");
      if (event.button !== 0 || !cells) return;
      const side = cells.getBoundingClientRect().width / this.state.picture[0].length;
      this.#held = { x: event.clientX, y: event.clientY, side, shift: this.state.shift };
      this.#dragged = false;
    });
    field.addEventListener("pointermove", (event) => {
      if (event.buttons === 0) this.#held = undefined; // let go outside
      if (!this.#held) return;
      const { x, y, side, shift: [i, j] } = this.#held;
      // A finger that moves up or down scrolls the page; it drags once it has moved sideways.
      const [across, along] = [Math.abs(event.clientX - x), Math.abs(event.clientY - y)];
      if (event.pointerType === "touch" && !this.#dragged && across <= along) return;
      const down = Math.round((event.clientY - y) / side);
      const right = Math.round((event.clientX - x) / side);
      const shift = limited([i + down, j + right]);
      if (String(shift) === String(this.state.shift)) return;
      field.setPointerCapture(event.pointerId);
      this.#dragged = true;
      this.change({ shift });
    });
    field.addEventListener("pointerup", () => this.#held = undefined);
    field.addEventListener("pointercancel", () => { // the browser scrolls after all
      if (this.#held && this.#dragged) this.change({ shift: this.#held.shift });
      this.#held = undefined;
    });
    // The click at the end of a drag is none; one from the keyboard has no detail.
    field.addEventListener("click", (event) => {
      if (this.#dragged && event.detail > 0) event.stopPropagation();
    }, { capture: true });
  }

  /**
   * @param {number} down
   * @param {number} right
   */
  #move(down, right) {
    const [i, j] = this.state.shift;
    this.change({ shift: limited([i + down, j + right]) });
  }

  /** @param {Place} place In the shifted picture. */
  #toggle([i, j]) {
    const { picture, shift } = this.state;
    const u = within(i - shift[0], picture.length);
    const v = within(j - shift[1], picture[0].length);
    this.change({ picture: replaced(picture, u, v, picture[u][v] < 0.5 ? 1 : 0) });
  }

  /** @param {Place | undefined} place */
  #point(place) {
    if (String(place) === String(this.#pointed)) return;
    this.#pointed = place;
    this.draw();
  }

  draw() {
    const { picture, pool_size: k, strides, shift } = this.state;
    for (const { down, right, button } of this.#shifters) {
      const next = limited([shift[0] + down, shift[1] + right]);
      button.setAttribute("aria-disabled", String(String(next) === String(shift))); // keeps the focus
    }
    const X = shifted(picture, shift);
    const [maxima, means] = /** @type {const} */ (["max", "avg"]).map((mode) => {
      const now = pooled(X, k, mode, strides);
      const first = pooled(picture, k, mode, strides);
      const by = now.map((row, i) => row.map((value, j) => Math.abs(value - first[i][j])));
      return { now, first, by };
    });
    const [h, w] = [maxima.now.length, maxima.now[0]?.length ?? 0];
    const fits = h > 0 && w > 0;
    const [i, j] = this.#pointed ?? [h, w];
    const pointed = fits && i < h && j < w;

    const table = this.#picture.matrix.table;
    table.style.setProperty("--rows", String(X.length));
    table.style.setProperty("--strides", String(strides));
    table.classList.toggle("tiled", k === strides && k > 1);
    const uses = [X.length, X[0].length].map((n) => useCounts(n, k, [0, 0], strides));
    this.#picture.show(X, {
      marked: (u, v) => {
        const [a, b] = [u - i * strides, v - j * strides];
        return pointed && a >= 0 && a < k && b >= 0 && b < k;
      },
      dashed: (u, v) => uses[0][u] * uses[1][v] === 0, // no window sees it
    });
    this.#outputs.hidden = !fits;
    this.#window.hidden = !fits;
    if (!fits) {
      say(this.#counts, `A window of ${k}×${k} does not fit into the picture.`);
      return;
    }
    this.#maxima.show(maxima.now, { marked: (u, v) => differs(maxima.by[u][v]) });
    this.#means.show(means.now, { marked: (u, v) => differs(means.by[u][v]) });

    const [most, mean] = [maxima, means].map(({ by }) => {
      const all = by.flat();
      const sum = all.reduce((total, size) => total + size, 0);
      return { changed: all.filter(differs).length, size: short(sum / all.length) };
    });
    const moved = `Shift (${shift.map(format).join(", ")})`;
    say(
      this.#counts,
      `${moved}: ${most.changed} of ${h * w} maxima change, ` +
        `${mean.changed} of ${h * w} means; mean size of the change ${most.size} and ${mean.size}.`,
    );
    say(
      this.#window,
      pointed
        ? `This window: maximum ${short(maxima.now[i][j])}, without the shift ` +
          `${short(maxima.first[i][j])}; mean ${short(means.now[i][j])}, without the shift ` +
          `${short(means.first[i][j])}.`
        : "Drag X to shift it, click a cell to change it, point at an output to see its window.",
    );
  }
}

/**
 * A number from 0 to 1 in two digits.
 * @param {number} value
 */
function short(value) {
  return format(rounded(value, 2));
}

/**
 * Whether the size of a change is one, and not the rounding of a sum.
 * @param {number} size
 */
function differs(size) {
  return size > 1e-9;
}

/**
 * The nearest of n cells.
 * @param {number} i
 * @param {number} n
 */
function within(i, n) {
  return Math.max(0, Math.min(i, n - 1));
}

/**
 * A shift within its limits.
 * @param {Place} shift
 * @returns {Place}
 */
function limited([i, j]) {
  const [least, most] = BOUNDS.shift;
  return [Math.max(least, Math.min(most, i)), Math.max(least, Math.min(most, j))];
}

/**
 * The picture moved down and to the right; what comes in repeats its border.
 * @param {number[][]} picture
 * @param {Place} shift
 */
function shifted(picture, [down, right]) {
  const [h, w] = [picture.length, picture[0].length];
  return picture.map((row, i) =>
    row.map((_, j) => picture[within(i - down, h)][within(j - right, w)])
  );
}

/**
 * @param {number[][]} X
 * @param {number} size
 * @param {"max" | "avg"} mode
 * @param {number} strides
 */
function pooled(X, size, mode, strides) {
  const image = tensor([X.length, X[0].length, 1], matrix(X).data);
  return rows(pool2d(image, size, mode, { strides }));
}

/**
 * A picture of 12 x 12.
 * @param {(i: number, j: number) => boolean} bright
 */
function drawn(bright) {
  return Array.from(
    { length: 12 },
    (_, i) => Array.from({ length: 12 }, (_, j) => Number(bright(i, j))),
  );
}

define("cnn-pooling", Pooling);
