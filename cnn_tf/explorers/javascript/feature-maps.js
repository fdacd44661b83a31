/** Feature maps and kernels in colours; the pixels of a map can be chosen. */

import { tensor } from "./arithmetic.js";
import { arrow, make } from "./element.js";
import { frame, overlay, paint } from "./picture.js";

/** @typedef {import("./arithmetic.js").Tensor} Tensor */
/** @typedef {import("./network.js").Layer} Layer */
/** @typedef {import("./network.js").Shape} Shape */
/** @typedef {import("./network.js").Spot} Spot */
/** @typedef {import("./network.js").Window} Window */

/** A frame around pixels of a map. @typedef {Window & {chosen?: boolean}} Frame */

/** Where units without a place are drawn: so many in a line. */
const LINE = 30;

/**
 * Whether these are units of a dense layer, which have no place: they are drawn as one map.
 * @param {number[]} shape
 */
export function areUnits([h, w]) {
  return h * w === 1;
}

/**
 * The shape in which a result is drawn.
 * @param {number[]} shape
 * @returns {Shape}
 */
export function drawn(shape) {
  const [h, w, channels] = shape;
  if (!areUnits(shape)) return [h, w, channels];
  return [Math.ceil(channels / LINE), Math.min(channels, LINE), 1];
}

/**
 * Where a spot of a result is drawn: on which map, and at which pixel of it.
 * @param {number[]} shape
 * @param {Spot} spot
 * @returns {Spot}
 */
export function toDrawn(shape, spot) {
  const [channel] = spot;
  return areUnits(shape) ? [0, Math.floor(channel / LINE), channel % LINE] : spot;
}

/**
 * The spot that is drawn there; at the end of the last line there may be none.
 * @param {number[]} shape
 * @param {Spot} spot
 * @returns {Spot | undefined}
 */
export function fromDrawn(shape, spot) {
  if (!areUnits(shape)) return spot;
  const channel = spot[1] * LINE + spot[2];
  return channel < shape[2] ? [channel, 0, 0] : undefined;
}

/**
 * One of the drawn maps.
 * @param {Tensor} result
 * @param {number} map
 */
export function drawnMap({ shape, data }, map) {
  return channelOf({ shape: drawn(shape), data }, map);
}

/**
 * @param {Tensor} tensor
 * @param {number} channel
 */
export function channelOf({ shape: [h, w, channels], data }, channel) {
  const picture = tensor([h, w]);
  for (let i = 0; i < h * w; i++) {
    picture.data[i] = data[i * channels + channel] ?? NaN; // behind the last unit: no colour
  }
  return picture;
}

/** @param {HTMLElement} around */
function buttonsIn(around) {
  return /** @type {HTMLElement[]} */ ([...around.querySelectorAll("button:not([hidden])")]);
}

/**
 * Let the Tab key reach one of the buttons in an element, and the arrow keys move on to the others.
 * @param {HTMLElement} around
 */
export function rove(around) {
  around.addEventListener("focusin", ({ target }) => {
    for (const button of buttonsIn(around)) button.tabIndex = button === target ? 0 : -1;
  });
  around.addEventListener("keydown", (event) => {
    const step = arrow(event);
    if (!step) return;
    event.preventDefault();
    const all = buttonsIn(around);
    const now = all.indexOf(/** @type {HTMLElement} */ (event.target));
    all[now + step[0] + step[1]]?.focus();
  });
}

/**
 * Let the Tab key reach one of the buttons, if the one that it reached is gone.
 * @param {HTMLElement} around
 */
export function reach(around) {
  const all = buttonsIn(around);
  if (all.length && !all.some((button) => button.tabIndex === 0)) all[0].tabIndex = 0;
}

/**
 * Take away children that are too many, and make those missing.
 * @param {HTMLElement} around
 * @param {number} count
 * @param {(i: number) => Node} create
 */
export function fill(around, count, create) {
  while (around.children.length > count) around.lastElementChild?.remove();
  while (around.children.length < count) around.append(create(around.children.length));
}

/** A map whose pixels can be chosen with the pointer, and which the keyboard can choose. */
export class FeatureMap {
  #canvas = make("canvas", { "aria-hidden": "true" });

  #over = overlay(this.#canvas);

  element = make("button", { type: "button", class: "map", tabindex: -1 }, this.#over.element);

  /** What is framed, as text. */
  #framed = "";

  /** What is painted. @type {[Tensor?, number?]} */
  #painted = [];

  /** @param {(pixel: [number, number] | undefined) => void} choose By keyboard without a pixel. */
  constructor(choose) {
    this.element.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      choose(event.detail ? pixelAt(this.#canvas, event) : undefined);
    });
  }

  /**
   * @param {Tensor} result
   * @param {number} map Which of its maps.
   * @param {string} name
   * @param {{signed: boolean, limit: number}} options Always the same for one result.
   */
  show(result, map, name, options) {
    if (this.element.ariaLabel !== name) this.element.ariaLabel = name;
    if (this.#painted[0] === result && this.#painted[1] === map) return;
    this.#painted = [result, map];
    paint(this.#canvas, drawnMap(result, map), options);
  }

  /** @param {Frame | undefined} what */
  mark(what) {
    this.#framed = mark(this.#over.drawing, this.#canvas, what, this.#framed);
  }
}

/**
 * Frame pixels over a canvas, if that is not done yet.
 * @param {SVGSVGElement} drawing
 * @param {HTMLCanvasElement} canvas
 * @param {Frame | undefined} what
 * @param {string} before What is framed there, as text.
 */
export function mark(drawing, canvas, what, before) {
  const key = what ? JSON.stringify([what, canvas.width, canvas.height]) : "";
  if (key === before) return key;
  drawing.setAttribute("viewBox", `0 0 ${canvas.width} ${canvas.height}`);
  const { left, top, width, height, chosen } = what ?? { left: 0, top: 0, width: 0, height: 0 };
  drawing.replaceChildren(...(width * height ? [frame(left, top, width, height, { chosen })] : []));
  return key;
}

/**
 * The pixel of a canvas under the pointer: its row and its column.
 * @param {HTMLCanvasElement} canvas
 * @param {MouseEvent} event
 * @returns {[number, number]}
 */
export function pixelAt(canvas, { clientX, clientY }) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const at = (/** @type {number} */ part, /** @type {number} */ n) =>
    Math.min(n - 1, Math.max(0, Math.floor(part * n)));
  return [at((clientY - top) / height, canvas.height), at((clientX - left) / width, canvas.width)];
}

/** All maps of a result, side by side and on one scale. */
export class FeatureMaps {
  element = make("div", { class: "sheet", role: "group" });

  /** @type {FeatureMap[]} */
  #maps = [];

  /**
   * @param {(map: number, pixel: [number, number] | undefined) => void} choose
   * @param {Node[]} above What stands above each map.
   */
  constructor(choose, above = []) {
    this.choose = choose;
    this.above = above;
    rove(this.element);
  }

  /**
   * @param {Tensor} result
   * @param {string} name The layer's.
   * @param {{signed: boolean, limit: number}} options
   */
  show(result, name, options) {
    const [h, w, count] = drawn(result.shape);
    fill(this.element, count, (i) => {
      const map = this.#maps[i] = new FeatureMap((pixel) => this.choose(i, pixel));
      return make("div", {}, ...this.above.slice(i, i + 1), map.element);
    });
    reach(this.element);
    this.element.ariaLabel = `${name}, ${mapsInWords(result.shape)}`;
    setWidths(this.element, count, sideOf(result.shape));
    for (let i = 0; i < count; i++) {
      const each = count === 1 ? this.element.ariaLabel : `${name}, map ${i + 1} of ${count}`;
      this.#maps[i].show(result, i, `${each}, ${h} × ${w}`, options);
    }
  }

  /** @param {(map: number) => Frame | undefined} frames */
  mark(frames) {
    for (let i = 0; i < this.element.children.length; i++) this.#maps[i].mark(frames(i));
  }

  /** @param {number} map */
  focus(map) {
    this.#maps[map]?.element.focus();
  }
}

/**
 * How wide a map is drawn: so that a finger can find it.
 * @param {number[]} shape
 */
function sideOf(shape) {
  const [, w, count] = drawn(shape);
  if (areUnits(shape)) return Math.max(40, 8 * w);
  return Math.max(40, Math.min(w * (w >= 14 ? 3 : 6), count > 16 ? 56 : 84));
}

/**
 * Up to eight stand in a line, and more in two, where there is room.
 * @param {HTMLElement} sheet
 * @param {number} count
 * @param {number} side
 */
function setWidths(sheet, count, side) {
  const columns = count <= 8 ? count : Math.ceil(count / 2);
  sheet.style.setProperty("--side", `${side}px`);
  sheet.style.setProperty("--most", `${columns * (side + 3)}px`);
}

/** @param {number[]} shape */
export function mapsInWords(shape) {
  const [h, w, channels] = shape;
  if (areUnits(shape)) return several(channels, "unit");
  return `${several(channels, "feature map")} of ${h} × ${w}`;
}

/**
 * @param {number} n
 * @param {string} thing
 */
export function several(n, thing) {
  return `${n} ${thing}${n === 1 ? "" : "s"}`;
}

/**
 * The kernels of a convolution, a picture for each: side by side the slices for its input maps.
 * @param {Layer} layer
 * @param {number} limit The weight in full colour.
 * @param {(channel: number, from: number) => void} choose
 * @returns {HTMLCanvasElement[]}
 */
export function kernels({ kernel, name }, limit, choose) {
  const [kH, kW, cI, cO] = kernel.shape;
  const gap = kH * kW > 1 ? 1 : 0;
  const [height, width] = [kH + gap, kW + gap];
  const columns = Math.ceil(Math.sqrt(cI));
  const lines = Math.ceil(cI / columns);
  return Array.from({ length: cO }, (_, d) => {
    const picture = tensor([lines * height - gap, columns * width - gap]);
    picture.data.fill(NaN); // what is between the slices has no colour
    for (let k = 0; k < kH * kW * cI; k++) {
      const [c, v, u] = [k % cI, Math.floor(k / cI) % kW, Math.floor(k / cI / kW)];
      const [line, column] = [Math.floor(c / columns) * height, (c % columns) * width];
      picture.data[(line + u) * picture.shape[1] + column + v] = kernel.data[k * cO + d];
    }
    const canvas = make("canvas", {
      class: "kernel",
      role: "img",
      "aria-label": `${name}, kernel ${d + 1} of ${cO}, ${kH} × ${kW} × ${cI}`,
      onclick: (/** @type {MouseEvent} */ event) => {
        const [row, column] = pixelAt(canvas, event);
        const from = Math.floor(row / height) * columns + Math.floor(column / width);
        choose(d, Math.min(from, cI - 1));
      },
    });
    paint(canvas, picture, { signed: true, limit });
    const context = canvas.getContext("2d");
    context.fillStyle = "rgb(128 128 128 / 40%)"; // or a slice that ends in zeros has no edge
    for (let x = kW; x < canvas.width; x += width) context.fillRect(x, 0, gap, canvas.height);
    for (let y = kH; y < canvas.height; y += height) context.fillRect(0, y, canvas.width, gap);
    return canvas;
  });
}

/**
 * Kernels alone, where they have no maps below them.
 * @param {HTMLCanvasElement[]} canvases
 * @returns {HTMLElement}
 */
export function kernelSheet(canvases) {
  const sheet = make("div", { class: "sheet" }, ...canvases);
  setWidths(sheet, canvases.length, 56);
  return sheet;
}
