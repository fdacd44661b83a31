/** One number of a network: what it was computed from, its sum written out, and what it feeds. */

import { activations, rows, tensor } from "./arithmetic.js";
import { arrow, calm, make, row, say } from "./element.js";
import {
  areUnits,
  channelOf,
  drawn,
  drawnMap,
  FeatureMap,
  FeatureMaps,
  fill,
  fromDrawn,
  mapsInWords,
  mark,
  pixelAt,
  reach,
  rove,
  several,
  toDrawn,
} from "./feature-maps.js";
import { Matrix } from "./matrix.js";
import { fed, mixes, seen, SIDE, terms, times } from "./network.js";
import { factor, format, rounded } from "./numbers.js";
import { largest, overlay, paint } from "./picture.js";

/** @typedef {import("./arithmetic.js").Tensor} Tensor */
/** @typedef {import("./network.js").Layer} Layer */
/** @typedef {import("./network.js").Shape} Shape */
/** @typedef {import("./network.js").Spot} Spot */
/** @typedef {import("./network.js").Stage} Stage */

/**
 * A number of the network: of the result of a layer, counted from 1, or of the picture, which is 0.
 * @typedef {[number, ...Spot]} Place
 */

/**
 * What there is to look into.
 * @typedef {object} Scene
 * @property {Layer[]} layers
 * @property {number[]} limits The largest weight of each.
 * @property {Tensor} picture
 * @property {Stage[]} stages
 * @property {string[]} classes
 * @property {number[] | undefined} probabilities
 */

/** As many of the strongest contributions are listed. */
const STRONGEST = 8;

/** As many outputs of a pool, which a pixel feeds, are listed. */
const FED = 16;

/** As many numbers of a window are written out: in a table, and in a line. */
const CELLS = { table: 144, line: 16 };

const WORDS = {
  relu: "ReLU",
  sigmoid: "sigmoid",
  centred_sigmoid: "centred sigmoid",
  tanh: "tanh",
  linear: "linear",
};

// --- Words ---------------------------------------------------------------------------------------

/**
 * Round numbers to the same decimal place: so that the largest has some digits, and the others can
 * be added to it by hand.
 * @param {Iterable<number>} values
 * @param {number} digits
 * @returns {(x: number) => number}
 */
function rounding(values, digits = 4) {
  const most = largest({ shape: [], data: Float64Array.from(values) });
  if (!(most > 0 && most < 1e12)) return (x) => x;
  const behind = Math.min(12, Math.max(0, digits - 1 - Math.floor(Math.log10(most))));
  return (x) => rounded(x, behind);
}

/**
 * Whether rounded numbers add up to their rounded sum, apart from what binary fractions leave.
 * @param {number[]} numbers
 * @param {number} total
 */
function addsUp(numbers, total) {
  const size = numbers.reduce((sum, x) => sum + Math.abs(x), Math.abs(total));
  const sum = numbers.reduce((sum, x) => sum + x, 0);
  return Math.abs(sum - total) <= 1e-12 * size;
}

/**
 * A sum, written out.
 * @param {[number, string?][]} parts What is added, and what it is.
 * @param {number} total
 * @param {(x: number) => number} round
 */
function addition(parts, total, round) {
  const text = parts.map(([value, what], i) => {
    const x = round(value);
    const sign = i === 0 ? (x < 0 ? "−" : "") : x < 0 ? " − " : " + ";
    return `${sign}${format(Math.abs(x))}${what ? ` (${what})` : ""}`;
  });
  const exact = addsUp(parts.map(([value]) => round(value)), round(total));
  return `${text.join("")} ${exact ? "=" : "≈"} ${format(round(total))}`;
}

/**
 * What the products of a window add up to.
 * @param {number[]} products As they are shown.
 * @param {number} sum
 * @param {string} which Of which map they are.
 * @param {(x: number) => number} round
 */
function addedUp(products, sum, which, round) {
  const total = format(round(sum));
  if (products.length === 1) return `Pixel · weight: the product${which} is ${total}.`;
  const about = addsUp(products.map(rounding(products, 3)), round(sum)) ? "" : " about";
  const count = `${products.length} products${which}`;
  return `Pixel · weight, cell by cell: the ${count} add up to${about} ${total}.`;
}

/**
 * A rescaling, written out.
 * @param {string} x
 * @param {import("./network.js").Rescaling} rescaling
 */
function rescaled(x, { scale, offset }) {
  const round = rounding([scale, offset]);
  const sign = offset < 0 ? "−" : "+";
  return `${format(round(scale))} · ${x} ${sign} ${format(Math.abs(round(offset)))}`;
}

/**
 * What the activations make of a sum.
 * @param {Layer} layer
 * @param {number} sum
 * @param {(x: number) => number} round
 */
function activated({ functions }, sum, round) {
  let x = sum;
  return functions.map((name) => {
    const before = format(round(x));
    x = activations[name](x);
    if (name === "relu" || name === "linear") {
      return `${WORDS[name]}(${before}) = ${format(round(x))}`;
    }
    return `${WORDS[name]}(${before}) ≈ ${format(rounding([x])(x))}`;
  });
}

/**
 * What a layer does, in a few words.
 * @param {Layer} layer
 */
export function inWords({ kind, name, size, strides, mode, kernel, functions, shape, rescaling }) {
  const steps = strides.some((stride) => stride > 1) ? `, strides ${times(strides)}` : "";
  const what = {
    conv: `${several(kernel.shape[3], "kernel")} of ${times(size)} × ${kernel.shape[2]}${steps}`,
    dense: `dense layer of ${several(shape[2], "unit")}`,
    pool: `${mode === "max" ? "maximum" : "mean"} of ${times(size)}` +
      (String(strides) === String(size) ? "" : `, strides ${times(strides)}`),
    activation: "",
    rescaling: `x becomes ${rescaled("x", rescaling)}`,
  }[kind];
  const then = functions.map((it) => WORDS[it]).join(", then ");
  return `${name}: ${[what, then].filter(Boolean).join(", then ")}`;
}

// --- Places --------------------------------------------------------------------------------------

/**
 * @param {Layer[]} layers
 * @param {number} step
 * @returns {Shape}
 */
export function shapeOf(layers, step) {
  return step === 0 ? [SIDE, SIDE, 1] : layers[step - 1].shape;
}

/**
 * Whether a network has such a number.
 * @param {Layer[]} layers
 * @param {Place} place
 */
export function exists(layers, [step, channel, i, j]) {
  if (step > layers.length) return false;
  const [h, w, channels] = shapeOf(layers, step);
  return channel < channels && i >= 0 && i < h && j >= 0 && j < w;
}

/**
 * The spot of a number of a result, counted through.
 * @param {number[]} shape
 * @param {number} at
 * @returns {Spot}
 */
export function spotAt([, w, channels], at) {
  return [at % channels, Math.floor(at / channels / w), Math.floor(at / channels) % w];
}

/**
 * @param {number[]} shape
 * @param {Spot} spot
 */
function indexOf([, w, channels], [channel, i, j]) {
  return (i * w + j) * channels + channel;
}

/**
 * Where a number stands within its layer.
 * @param {Scene} scene
 * @param {number} step
 * @param {Spot} spot
 */
function spotInWords({ layers, classes }, step, spot) {
  const shape = shapeOf(layers, step);
  if (step === layers.length) return classes[indexOf(shape, spot)];
  if (areUnits(shape)) return `unit ${spot[0] + 1}`;
  return (shape[2] > 1 ? `map ${spot[0] + 1}, ` : "") + `row ${spot[1] + 1}, column ${spot[2] + 1}`;
}

/**
 * @param {Scene} scene
 * @param {number} step
 */
function layerName({ layers }, step) {
  return step === 0 ? "picture" : layers[step - 1].name;
}

/**
 * @param {Scene} scene
 * @param {number} step
 */
export function resultOf({ picture, stages }, step) {
  return step === 0 ? picture : stages[step - 1].result;
}

/**
 * How a result is painted.
 * @param {Scene} scene
 * @param {number} step
 */
export function colours(scene, step) {
  const limit = step === 0 ? 1 : largest(resultOf(scene, step)) || 1;
  return { signed: step > 0, limit };
}

/**
 * What is framed on a map while a place is open: the place, what it sees, what it feeds.
 * @param {Scene} scene
 * @param {Place} open
 * @param {number} step
 * @param {number} map
 * @returns {import("./feature-maps.js").Frame | undefined}
 */
export function framed({ layers }, [opened, ...spot], step, map) {
  const shape = shapeOf(layers, step);
  const [channel, i, j] = spot;
  if (step === opened) {
    const [at, top, left] = toDrawn(shape, spot);
    return at === map ? { top, left, height: 1, width: 1, chosen: true } : undefined;
  }
  const layer = layers[Math.max(step, opened) - 1];
  if (Math.abs(step - opened) !== 1 || layer.kind === "dense") return undefined;
  if (!mixes(layer) && map !== channel) return undefined;
  return step < opened ? seen(layer, i, j) : fed(layer, i, j);
}

// --- The panel -----------------------------------------------------------------------------------

/** One of the maps that a number was computed from, with its part of the kernel and of the sum. */
class Source {
  #slice = make("canvas", { "aria-hidden": "true" });

  #sum = make("span");

  /**
   * @param {(pixel: [number, number] | undefined) => void} open
   * @param {() => void} look
   */
  constructor(open, look) {
    this.map = new FeatureMap(open);
    this.kernel = make("button", { type: "button", class: "slice", onclick: look }, this.#slice);
    this.kernel.append(this.#sum);
    this.element = make("div", { class: "source" }, this.map.element, this.kernel);
  }

  /**
   * @param {Tensor} weights
   * @param {number} limit
   * @param {string} name
   * @param {string} sum
   * @param {boolean} looked
   */
  show(weights, limit, name, sum, looked) {
    paint(this.#slice, weights, { signed: true, limit });
    this.#sum.textContent = sum;
    this.kernel.ariaLabel = `kernel for ${name}, sum ${sum}`;
    this.kernel.setAttribute("aria-pressed", String(looked));
  }
}

/** The panel in which a number of the network is opened. */
export class Opened {
  #title = make("p", { class: "note", role: "status" });

  #canvas = make("canvas", { role: "application", tabindex: 0 });

  #over = overlay(this.#canvas);

  #framed = "";

  #keys = make("p", { class: "note small keys" });

  #head = row();

  #sourcesTitle = make("figcaption");

  #sources = make("div", { class: "sources" });

  /** @type {Source[]} */
  #made = [];

  #from = make("figure", {}, this.#sourcesTitle, this.#sources);

  #pixels = new Matrix("pixels", "x", { choose: (place) => this.#choosePixel(place) });

  #weights = new Matrix("kernel", "k");

  #products = new Matrix("products", "y");

  #numbers = make(
    "div",
    { class: "numbers" },
    this.#pixels.element,
    this.#weights.element,
    this.#products.element,
  );

  #part = make("p", { class: "note small" });

  #strongest = make("ul", { class: "list" });

  #strongestTitle = make("p", { class: "note small" });

  #sum = make("p", { class: "note sum" });

  #feedsTitle = make("p", { class: "note small" });

  #feeds = make("ul", { class: "list" });

  #next = new FeatureMaps((map, pixel) => this.#chooseNext(map, pixel));

  /** @type {Scene | undefined} */
  #scene = undefined;

  /** @type {Place} */
  #place = [0, 0, 0, 0];

  /** The input map whose numbers are shown. */
  #looked = 0;

  /**
   * @param {(place: Place) => void} open
   * @param {(from: number) => void} look Show the numbers of another input map.
   * @param {() => void} close
   */
  constructor(open, look, close) {
    this.open = open;
    this.look = look;
    const canvas = this.#canvas;
    canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button === 0) canvas.setPointerCapture(event.pointerId);
    });
    const point = (/** @type {PointerEvent} */ event) => {
      if (event.type === "click" || canvas.hasPointerCapture(event.pointerId)) {
        this.#openDrawn(pixelAt(canvas, event));
      }
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("click", point);
    for (const list of [this.#sources, this.#strongest, this.#feeds]) rove(list);
    const shut = make("button", { type: "button", onclick: close }, "Close");
    const words = make("div", { class: "words" }, this.#title, this.#sum, this.#keys, shut);
    this.#head = row(this.#over.element, words);
    this.element = make(
      "section",
      { class: "opened", "aria-label": "The opened pixel", hidden: true },
      this.#head,
      this.#from,
      this.#numbers,
      this.#part,
      this.#strongestTitle,
      this.#strongest,
      this.#feedsTitle,
      this.#next.element,
      this.#feeds,
    );
    this.element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") close();
    });
  }

  /** Bring what is opened into sight, and give it the keys. */
  focus() {
    this.#canvas.focus({ preventScroll: true });
    const { top, bottom } = this.#head.getBoundingClientRect();
    if (top >= 0 && bottom <= innerHeight) return;
    this.#head.scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
  }

  /**
   * @param {Scene} scene
   * @param {Place} place
   * @param {number | undefined} looked The input map whose numbers are shown: by default the one
   * that adds or takes most.
   */
  show(scene, place, looked) {
    [this.#scene, this.#place] = [scene, place];
    const [step, ...spot] = place;
    this.#looked = 0;
    this.#showMap(scene, step, spot);
    const layer = scene.layers[step - 1];
    const sums = layer && mixes(layer);
    this.#from.hidden = !layer;
    this.#numbers.hidden = this.#part.hidden = !layer;
    this.#weights.element.hidden = this.#products.element.hidden = !sums;
    this.#strongest.hidden = this.#strongestTitle.hidden = true;
    if (sums) this.#showSum(scene, layer, place, looked);
    else if (layer) this.#showPool(scene, layer, place);
    else this.#sum.textContent = "0 is black, 1 is white";
    this.#showFeeds(scene, place);
    for (const list of [this.#sources, this.#strongest, this.#feeds]) reach(list);
  }

  /**
   * @param {Scene} scene
   * @param {number} step
   * @param {Spot} spot
   */
  #showMap(scene, step, spot) {
    const result = resultOf(scene, step);
    const [map, top, left] = toDrawn(result.shape, spot);
    const picture = drawnMap(result, map);
    const [h, w] = picture.shape;
    paint(this.#canvas, picture, colours(scene, step));
    const side = areUnits(result.shape) ? 16 * w : Math.min(224, w * (w > 20 ? 8 : 20));
    this.#over.element.style.width = this.#canvas.style.width = `${
      Math.max(side, h > 1 ? 80 : 20)
    }px`;
    const chosen = { top, left, height: 1, width: 1, chosen: true };
    this.#framed = mark(this.#over.drawing, this.#canvas, chosen, this.#framed);
    const name = layerName(scene, step);
    const what = areUnits(result.shape) ? "unit" : "pixel";
    const keys = `the arrow keys move the ${what}` +
      (drawn(result.shape)[2] > 1 ? ", + and − change the map" : "");
    if (this.#canvas.ariaLabel !== `${name}: ${keys}`) this.#canvas.ariaLabel = `${name}: ${keys}`;
    say(this.#keys, `${keys[0].toUpperCase()}${keys.slice(1)}.`);
    const x = result.data[indexOf(result.shape, spot)];
    const value = format(rounding([x])(x));
    say(this.#title, `${name}, ${spotInWords(scene, step, spot)}: ${value}`);
  }

  /**
   * @param {Scene} scene
   * @param {Layer} layer
   * @param {Place} place
   * @param {number | undefined} looked
   */
  #showSum(scene, layer, place, looked) {
    const [step, ...spot] = place;
    const X = resultOf(scene, step - 1);
    const found = terms(layer, X, spot);
    const { pixels, weights, products } = found;
    const units = areUnits(layer.from);
    const count = drawn(layer.from)[2];
    const name = layerName(scene, step - 1);
    const bias = layer.bias.data[spot[0]];
    const total = scene.stages[step - 1].sums.data[indexOf(layer.shape, spot)];
    // Units are drawn as one map: what the window holds of them is a line of numbers.
    const { top, left, width } = seen(layer, spot[1], spot[2]);
    const unit = -(top * width + left) * layer.from[2];
    const slice = (/** @type {Tensor} */ { shape, data }, /** @type {number} */ c) =>
      units
        ? drawnMap(tensor(layer.from, data.subarray(unit, unit + layer.from[2])), 0)
        : channelOf({ shape, data }, c);
    const sums = Array.from({ length: count }, (_, c) => sumOf(slice(products, c)));
    const round = rounding([...sums, bias, total]);

    // Each input map, with its kernel below it and what comes of both.
    this.#looked = Math.min(looked ?? strongest(sums)[0], count - 1);
    this.#sourcesTitle.textContent = `Computed from ${
      step === 1 ? "the picture" : `${name}, ${mapsInWords(layer.from)}`
    }; below, the kernel and the sum of the products`;
    this.#fillSources(count);
    this.#sources.classList.toggle("many", count > 8);
    const painting = colours(scene, step - 1);
    for (let c = 0; c < count; c++) {
      const source = this.#made[c];
      const each = count === 1 ? name : `${name}, map ${c + 1}`;
      source.map.show(X, c, each, painting);
      source.map.mark(framed(scene, place, step - 1, c));
      const limit = scene.limits[step - 1];
      const looks = c === this.#looked && count > 1;
      source.show(slice(weights, c), limit, each, format(round(sums[c])), looks);
      source.kernel.hidden = false;
    }

    // The numbers of one of them, and the strongest of all where there are too many.
    const [kH, kW] = layer.size;
    const written = !units && kH * kW <= CELLS.table;
    this.#numbers.hidden = this.#part.hidden = !written;
    if (written) {
      const parts = [pixels, weights, products].map((it) => rows(slice(it, this.#looked)));
      const tables = [this.#pixels, this.#weights, this.#products];
      const which = count === 1 ? "" : ` of map ${this.#looked + 1}`;
      const window = layer.kind === "dense" ? "numbers" : step === 1 ? "pixels" : "window";
      const words = [`${window}${which}`, `kernel${which}`, "products"];
      tables.forEach((table, t) => this.#showNumbers(table, words[t], parts[t], layer, spot));
      this.#part.textContent = addedUp(parts[2].flat(), sums[this.#looked], which, round);
    }
    const listed = !written || layer.kind === "dense";
    this.#strongest.hidden = this.#strongestTitle.hidden = !listed;
    const inside = (/** @type {number} */ at) => {
      const [channel, u, v] = spotAt(products.shape, at);
      return exists(scene.layers, [step - 1, channel, top + u, left + v]);
    };
    const order = listed ? strongest(products.data).filter(inside) : [];
    if (listed) this.#list(scene, place, order, found);

    /** @type {[number, string?][]} */
    let added = sums.map((sum) => [sum]);
    if (count === 1 && listed) {
      const least = products.data.length - order.length;
      const rest = sums[0] - order.reduce((sum, at) => sum + products.data[at], 0);
      added = order.map((at) => [products.data[at]]);
      if (least) added.push([rest, `${least} others`]);
    }
    const lines = [
      addition([...added, [bias, "bias"]], total, round),
      ...activated(layer, total, round),
    ];
    if (step === scene.layers.length && scene.probabilities) {
      const percent = 100 * scene.probabilities[indexOf(layer.shape, spot)];
      lines.push(`with softmax ${percent.toFixed(1)} %`);
    }
    this.#sum.textContent = lines.join("; ");
  }

  /**
   * @param {number} count
   */
  #fillSources(count) {
    fill(this.#sources, count, (c) => {
      const source = new Source((pixel) => this.#chooseSource(c, pixel), () => this.look(c));
      source.kernel.tabIndex = -1;
      this.#made[c] = source;
      return source.element;
    });
  }

  /**
   * A table of a window.
   * @param {Matrix} table
   * @param {string} name
   * @param {number[][]} values
   * @param {Layer} layer
   * @param {Spot} spot
   * @param {(u: number, v: number) => boolean} marked
   */
  #showNumbers(table, name, values, layer, spot, marked = () => false) {
    const round = rounding(values.flat().filter(Number.isFinite), 3);
    const most = Math.max(...values.flat().filter(Number.isFinite).map(Math.abs)) || 1;
    const { top, left } = seen(layer, spot[1], spot[2]);
    const [h, w] = layer.from;
    const outside = (/** @type {number} */ u, /** @type {number} */ v) =>
      top + u < 0 || top + u >= h || left + v < 0 || left + v >= w;
    if (table.name !== name) table.rename(name);
    table.show(values.map((line) => line.map(round)), {
      lit: (u, v) => Number((Math.abs(values[u][v] || 0) / most).toFixed(2)),
      dashed: (u, v) => table === this.#pixels && outside(u, v),
      marked,
    });
  }

  /**
   * The inputs that add or take most.
   * @param {Scene} scene
   * @param {Place} place
   * @param {number[]} order
   * @param {ReturnType<typeof terms>} found
   */
  #list(scene, [step, ...spot], order, { pixels, weights, products }) {
    const { top, left } = seen(scene.layers[step - 1], spot[1], spot[2]);
    const count = products.data.length;
    this.#strongestTitle.textContent = order.length === count
      ? "What each adds:"
      : `Of ${count} products, those that add or take most:`;
    this.#fillList(this.#strongest, order.length);
    order.forEach((at, line) => {
      const [channel, u, v] = spotAt(products.shape, at);
      /** @type {Spot} */
      const from = [channel, top + u, left + v];
      const round = rounding([products.data[at]]);
      entry(
        this.#strongest,
        line,
        `${spotInWords(scene, step - 1, from)}: ${
          product(pixels.data[at], weights.data[at], round(products.data[at]))
        }`,
        () => this.#enter([step - 1, ...from]),
      );
    });
  }

  /**
   * @param {HTMLElement} list
   * @param {number} count
   */
  #fillList(list, count) {
    fill(list, count, () => make("li", {}, make("button", { type: "button", tabindex: -1 })));
  }

  /**
   * @param {Scene} scene
   * @param {Layer} layer
   * @param {Place} place
   */
  #showPool(scene, layer, [step, ...spot]) {
    const [channel, i, j] = spot;
    const X = resultOf(scene, step - 1);
    const name = layerName(scene, step - 1);
    const [h, w, channels] = layer.from;
    const units = areUnits(layer.from);
    this.#sourcesTitle.textContent = `Computed from ${name}`;
    this.#fillSources(1);
    const [source] = this.#made;
    const each = channels > 1 && !units ? `${name}, map ${channel + 1}` : name;
    source.map.show(X, units ? 0 : channel, each, colours(scene, step - 1));
    source.map.mark(units ? undefined : framed(scene, [step, ...spot], step - 1, channel));
    source.kernel.hidden = true;

    const { top, left, height, width } = seen(layer, i, j);
    const values = Array.from(
      { length: height },
      (_, u) =>
        Array.from({ length: width }, (_, v) => {
          const inside = top + u >= 0 && top + u < h && left + v >= 0 && left + v < w;
          return inside ? X.data[((top + u) * w + left + v) * channels + channel] : NaN;
        }),
    );
    const inside = values.flat().filter((x) => !Number.isNaN(x));
    const sum = scene.stages[step - 1].sums.data[indexOf(layer.shape, spot)];
    const round = rounding([...inside, sum]);
    const pool = layer.kind === "pool";
    this.#numbers.hidden = !pool || inside.length > CELLS.table;
    this.#part.hidden = true;
    const best = pool && layer.mode === "max" ? sum : NaN;
    if (!this.#numbers.hidden) {
      this.#showNumbers(
        this.#pixels,
        "window",
        values,
        layer,
        spot,
        (u, v) => values[u][v] === best,
      );
    }
    const lines = activated(layer, sum, round);
    if (layer.kind === "rescaling") {
      lines.unshift(
        `${rescaled(format(round(inside[0])), layer.rescaling)} ≈ ${format(round(sum))}`,
      );
    }
    if (pool) {
      const shown = inside.map(round);
      const exact = layer.mode === "max" || addsUp(shown, round(sum) * inside.length);
      const many = inside.length > CELLS.line;
      lines.unshift([
        layer.mode === "max" ? "maximum of" : "mean of",
        many ? `${inside.length} numbers` : shown.map(format).join(", "),
        exact ? "=" : "≈",
        format(round(sum)),
      ].join(" "));
    }
    this.#sum.textContent = lines.join("; ");
  }

  /**
   * @param {Scene} scene
   * @param {Place} place
   */
  #showFeeds(scene, [step, ...spot]) {
    const [channel, i, j] = spot;
    const layer = scene.layers[step];
    this.#next.element.hidden = this.#feeds.hidden = this.#feedsTitle.hidden = true;
    if (!layer) return;
    this.#feedsTitle.hidden = false;
    const { top, left, height, width } = fed(layer, i, j);
    if (height * width === 0) {
      this.#feedsTitle.textContent = `It feeds nothing: the strides of ${layer.name} pass over it.`;
      return;
    }
    if (mixes(layer) && !areUnits(layer.shape)) {
      this.#feedsTitle.textContent = `It feeds, in each map of ${layer.name}, what is framed:`;
      this.#next.element.hidden = false;
      const next = resultOf(scene, step + 1);
      this.#next.show(next, layer.name, colours(scene, step + 1));
      this.#next.mark((map) => framed(scene, [step, ...spot], step + 1, map));
      return;
    }
    this.#feeds.hidden = false;
    /** @type {[Spot, string][]} */
    let entries = [];
    if (mixes(layer)) {
      // A window that covers its whole input has one place.
      const x = resultOf(scene, step).data[indexOf(layer.from, spot)];
      const { top, left } = seen(layer, 0, 0);
      const filters = layer.shape[2];
      const at = ((i - top) * layer.size[1] + j - left) * layer.from[2] + channel;
      const weights = layer.kernel.data.subarray(at * filters, (at + 1) * filters);
      entries = strongest(weights).map((m) => {
        const round = rounding([x * weights[m]]);
        return [[m, 0, 0], product(x, weights[m], round(x * weights[m]))];
      });
      this.#feedsTitle.textContent = `It feeds ${
        layer.shape[2] > entries.length ? `all ${layer.shape[2]} units of ` : ""
      }${layer.name}${layer.shape[2] > entries.length ? "; most of all" : ""}:`;
    } else {
      for (let u = top; u < top + height; u++) {
        for (let v = left; v < left + width; v++) entries.push([[channel, u, v], ""]);
      }
      const count = entries.length;
      const more = count > FED ? `, ${count} numbers, the first of them` : "";
      this.#feedsTitle.textContent = `It feeds ${layer.name}${more}:`;
      entries = entries.slice(0, FED);
    }
    this.#fillList(this.#feeds, entries.length);
    entries.forEach(([to, what], line) => {
      const words = `${spotInWords(scene, step + 1, to)}${what && `: ${what}`}`;
      entry(this.#feeds, line, words, () => this.#enter([step + 1, ...to]));
    });
  }

  // Choosing

  /** @param {KeyboardEvent} event */
  #key(event) {
    const scene = this.#scene;
    if (!scene) return;
    const [step, ...spot] = this.#place;
    const shape = shapeOf(scene.layers, step);
    const [map, i, j] = toDrawn(shape, spot);
    const [h, w, maps] = drawn(shape);
    const move = arrow(event);
    const turn = { "+": 1, "=": 1, PageDown: 1, "-": -1, "−": -1, PageUp: -1 }[event.key];
    if (!move && !turn) return;
    event.preventDefault();
    const to = [i + (move?.[0] ?? 0), j + (move?.[1] ?? 0)];
    const next = (map + (turn ?? 0) + maps) % maps;
    if (to[0] < 0 || to[0] >= h || to[1] < 0 || to[1] >= w) return;
    const chosen = fromDrawn(shape, [next, to[0], to[1]]);
    if (chosen) this.open([step, ...chosen]);
  }

  /** @param {[number, number]} pixel */
  #openDrawn([i, j]) {
    const scene = this.#scene;
    if (!scene) return;
    const [step, ...spot] = this.#place;
    const shape = shapeOf(scene.layers, step);
    const chosen = fromDrawn(shape, [toDrawn(shape, spot)[0], i, j]);
    if (chosen && String(chosen) !== String(spot)) this.open([step, ...chosen]);
  }

  /**
   * @param {number} map
   * @param {[number, number] | undefined} pixel
   */
  #chooseSource(map, pixel) {
    const scene = this.#scene;
    if (!scene) return;
    const [step, ...spot] = this.#place;
    const layer = scene.layers[step - 1];
    const channel = mixes(layer) || areUnits(layer.from) ? map : spot[0];
    const chosen = pixel
      ? fromDrawn(layer.from, [channel, ...pixel])
      : this.#strongestOf(scene, layer, channel);
    if (chosen) this.#enter([step - 1, ...chosen]);
  }

  /**
   * The pixel of an input map that adds most; of a pool, the largest.
   * @param {Scene} scene
   * @param {Layer} layer
   * @param {number} channel
   * @returns {Spot}
   */
  #strongestOf(scene, layer, channel) {
    const [step, ...spot] = this.#place;
    const X = resultOf(scene, step - 1);
    const { top, left, height, width } = seen(layer, spot[1], spot[2]);
    const [h, w] = layer.from;
    const products = mixes(layer) ? terms(layer, X, spot).products : undefined;
    if (areUnits(layer.from)) {
      return [products ? strongest(products.data)[0] % layer.from[2] : spot[0], 0, 0];
    }
    /** @type {Spot} */
    let best = spot;
    let most = -1;
    for (let u = Math.max(0, -top); u < Math.min(height, h - top); u++) {
      for (let v = Math.max(0, -left); v < Math.min(width, w - left); v++) {
        const at = indexOf(layer.from, [channel, top + u, left + v]);
        const value = products
          ? products.data[(u * width + v) * layer.from[2] + channel]
          : X.data[at];
        if (Math.abs(value) > most) {
          most = Math.abs(value);
          best = [channel, top + u, left + v];
        }
      }
    }
    return best;
  }

  /** @param {[number, number]} cell */
  #choosePixel([u, v]) {
    const scene = this.#scene;
    if (!scene) return;
    const [step, ...spot] = this.#place;
    const layer = scene.layers[step - 1];
    const { top, left } = seen(layer, spot[1], spot[2]);
    const [h, w] = layer.from;
    const [i, j] = [top + u, left + v];
    const channel = mixes(layer) ? this.#looked : spot[0];
    if (i >= 0 && i < h && j >= 0 && j < w) this.#enter([step - 1, channel, i, j]);
  }

  /**
   * @param {number} map
   * @param {[number, number] | undefined} pixel
   */
  #chooseNext(map, pixel) {
    const scene = this.#scene;
    if (!scene) return;
    const [step, , i, j] = this.#place;
    const { top, left, height, width } = fed(scene.layers[step], i, j);
    const middle = [top + Math.floor((height - 1) / 2), left + Math.floor((width - 1) / 2)];
    const [row, column] = pixel ?? middle;
    this.#enter([step + 1, map, row, column]);
  }

  /**
   * Open a place of another layer, and let the keys work there.
   * @param {Place} place
   */
  #enter(place) {
    this.open(place);
    this.focus();
  }
}

/**
 * A button of a list.
 * @param {HTMLElement} list
 * @param {number} line
 * @param {string} words
 * @param {() => void} onclick
 */
function entry(list, line, words, onclick) {
  const button = /** @type {HTMLButtonElement} */ (list.children[line].firstChild);
  say(button, words);
  button.onclick = onclick;
}

/**
 * A product, written out.
 * @param {number} x
 * @param {number} weight
 * @param {number} value Their product, rounded.
 */
function product(x, weight, value) {
  const [a, b] = [x, weight].map((it) => rounding([it], 3)(it));
  return `${format(a)}·${factor(b)} ${addsUp([a * b], value) ? "=" : "≈"} ${format(value)}`;
}

/**
 * Where the largest numbers stand, whatever their signs.
 * @param {import("./arithmetic.js").Numbers | number[]} numbers
 */
function strongest(numbers) {
  const order = Array.from(numbers.keys());
  order.sort((a, b) => Math.abs(numbers[b]) - Math.abs(numbers[a]));
  return order.slice(0, STRONGEST);
}

/**
 * The sum of what is drawn.
 * @param {Tensor} picture
 */
function sumOf({ data }) {
  let sum = 0;
  for (const x of data) sum += x || 0; // behind the last unit there is none
  return sum;
}
