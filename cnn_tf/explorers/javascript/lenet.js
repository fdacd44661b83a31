/** LeNet live: a picture to choose, to draw or to bring along, and what the network makes of it. */

import { softmax, tensor } from "./arithmetic.js";
import { arrow, define, Explorer, integer, list, make, optional, row, say } from "./element.js";
import {
  areUnits,
  drawnMap,
  FeatureMaps,
  fromDrawn,
  kernels,
  kernelSheet,
  mark,
  reach,
  rove,
} from "./feature-maps.js";
import { checkFinite, contentOf, forward, network, SIDE } from "./network.js";
import { colours, exists, framed, inWords, Opened, resultOf, shapeOf, spotAt } from "./opened.js";
import { unpack } from "./packed.js";
import { canvas, fromFile, largest, overlay, paint } from "./picture.js";

/** @typedef {import("./arithmetic.js").Tensor} Tensor */
/** @typedef {import("./network.js").Layer} Layer */
/** @typedef {import("./opened.js").Place} Place */
/** @typedef {import("./opened.js").Scene} Scene */

/**
 * Numbers from 0 to 1 that look random and are the same for the same seed.
 * @param {number} seed
 * @param {number} count
 */
function noise(seed, count) {
  let state = seed;
  return Float64Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0; // mulberry32, by Tommy Ettinger
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  });
}

// A drawing in an address: 16 greys, one hexadecimal digit a pixel, runs of zeros as their length.
// A drawing has no other greys, so that the one that comes back is the same.

const GREYS = 15;

/**
 * The number of a grey.
 * @param {number} x
 */
function level(x) {
  return Math.round(GREYS * Math.min(1, Math.max(0, x)));
}

/** @param {Tensor} picture */
function written({ data }) {
  const digits = Array.from(data, (x) => level(x).toString(16));
  return digits.join("").replace(/0{3,}/g, (zeros) => `z${zeros.length}.`);
}

/**
 * @param {string} text
 * @returns {Tensor | undefined}
 */
function drawing(text) {
  if (!text.startsWith("drawn-")) return undefined;
  const digits = text.slice("drawn-".length).replace(
    /z(\d{1,3})\./g,
    (_, count) => "0".repeat(Number(count)),
  );
  if (!/^[0-9a-f]+$/.test(digits) || digits.length !== SIDE * SIDE) return undefined;
  const data = Float64Array.from(digits, (digit) => parseInt(digit, 16) / GREYS);
  return tensor([SIDE, SIDE, 1], data);
}

/** A layer, counted from 1 (the picture is 0), a channel, a row and a column. */
const PLACE = list(integer(0, 1e5), ",", 4);

export class LeNet extends Explorer {
  static kinds = {
    open: optional(PLACE),
    from: optional(integer(0, 1e5)),
    picture: {
      /** @param {string} text */
      read: (text) =>
        /^(test|noise)-(0|[1-9]\d{0,8})$/.test(text) || drawing(text) ? text : undefined,
      /** @param {string} value */
      write: (value) => value === "own" ? "test-0" : value, // own pictures stay on this machine
    },
  };

  static defaults = { picture: "test-0", open: undefined, from: undefined };

  /** @type {Tensor[]} */
  #tests = [];

  /** @type {string[]} */
  #names = [];

  /** @type {Layer[]} */
  #layers = [];

  /** The largest weight of each. @type {number[]} */
  #limits = [];

  /** The picture that is looked at. */
  #picture = tensor([SIDE, SIDE, 1]);

  /** What `#picture` was made from. */
  #made = "";

  /** What the network makes of the picture. @type {Scene | undefined} */
  #scene = undefined;

  #choices = make(
    "fieldset",
    { class: "thumbnails" },
    make("legend", {}, "Pictures of the test set"),
  );

  #pad = canvas("The picture. Draw with the pointer, or with the arrow keys and Space.", 224);

  #over = overlay(this.#pad);

  #framed = "";

  #cursor = make("span", { class: "cursor", hidden: true });

  /** Where the keyboard draws. */
  #at = [SIDE / 2, SIDE / 2];

  /** Where the pointer has drawn last, in pixels. @type {number[] | undefined} */
  #from = undefined;

  #maps = make("div", { class: "maps" });

  /** The maps of each layer, apart from the last. @type {FeatureMaps[]} */
  #sheets = [];

  #bars = make("tbody");

  #said = make("p", { class: "note", role: "status" });

  #source = make("span");

  #opened = new Opened(
    (place) => this.#open(place),
    (from) => this.change({ from }),
    () => this.#close(),
  );

  settle() {
    if (!this.#layers.length) return;
    const test = /^test-(\d+)$/.exec(this.state.picture);
    if (test && Number(test[1]) >= this.#tests.length) this.state.picture = "test-0";
    // What does not exist in this network is ignored.
    if (this.state.open && !exists(this.#layers, this.state.open)) this.state.open = undefined;
  }

  build() {
    this.#names = this.data.class_names;
    const all = unpack(this.data.pictures);
    this.#tests = this.data.labels.map((/** @type {number} */ _, /** @type {number} */ i) =>
      tensor([SIDE, SIDE, 1], all.data.slice(i * SIDE * SIDE, (i + 1) * SIDE * SIDE))
    );
    this.#useFirst();
    this.settle();
    this.#choices.append(...this.#tests.map((picture, i) => this.#choice(picture, i)));
    this.#listen();
    rove(this.#bars);
    return [
      this.#choices,
      row(
        make("div", { class: "pad" }, this.#over.element, this.#cursor),
        make(
          "table",
          { class: "bars", "aria-label": "Probabilities of the classes" },
          this.#bars,
        ),
      ),
      this.#said,
      row(
        this.button("Clear", () => this.#draw(tensor([SIDE, SIDE, 1]))),
        this.button("Noise", () => this.change({ picture: `noise-${this.#nextSeed()}` })),
        this.fileControl("Your picture", "image/*", (file) => this.attempt(() => this.#take(file))),
        this.button("Invert", () => {
          const data = this.#picture.data.map((x) => 1 - x);
          this.#draw(tensor([SIDE, SIDE, 1], data), this.state.picture === "own");
        }),
      ),
      make(
        "p",
        { class: "note small" },
        "Choose a pixel of any map, or a class, to see how its number is computed.",
      ),
      this.#maps,
      this.#opened.element,
      row(
        make("span", {}, "You look into ", this.#source, "."),
        this.fileControl(
          "Your network",
          ".json,application/json",
          (file) => this.attempt(() => this.#swap(file)),
        ),
      ),
    ];
  }

  /**
   * One of the test pictures.
   * @param {Tensor} picture
   * @param {number} i
   */
  #choice(picture, i) {
    const value = `test-${i}`;
    const name = `${this.#names[this.data.labels[i]]}, picture ${i + 1}`;
    const radio = make("input", {
      type: "radio",
      name: "picture",
      value,
      class: "hidden",
      "aria-label": name,
      onchange: () => this.change({ picture: value }),
    });
    const small = make("canvas", { "aria-hidden": "true" });
    paint(small, picture);
    return make("label", { title: name }, radio, small);
  }

  reset() {
    this.#useFirst();
    super.reset();
  }

  /** Take the network that came with the explorer. */
  #useFirst() {
    this.#use(this.data.network);
    this.#source.textContent = this.hasAttribute("linked")
      ? "the network that was trained while this page was built"
      : "the network of this notebook";
  }

  /**
   * Take the network of a file, if it can be computed; if not, the one before stays.
   * @param {any} file
   */
  #use(file) {
    const layers = network(file, this.#names.length);
    checkFinite(layers, forward(layers, this.#tests[0]));
    this.#layers = layers;
    this.#scene = undefined;
    this.#limits = layers.map(({ kernel }) => largest(kernel) || 1);
    this.#sheets = [];
    this.#maps.replaceChildren(...layers.flatMap((layer, i) => {
      const pictures = layer.kind === "conv" ? this.#kernels(layer, i) : [];
      const units = areUnits(layer.shape);
      const parts = units && pictures.length ? [kernelSheet(pictures)] : [];
      if (i < layers.length - 1) { // the numbers of the last stand beside the bars
        const sheet = new FeatureMaps(
          (map, pixel) => this.#enter(i + 1, map, pixel),
          units ? [] : pictures,
        );
        this.#sheets.push(sheet);
        parts.push(sheet.element);
      }
      const caption = make("figcaption", {}, inWords(layer));
      return parts.length ? [make("figure", {}, caption, ...parts)] : [];
    }));
    const shape = shapeOf(layers, layers.length);
    this.#bars.replaceChildren(...this.#names.map((name, k) => {
      const open = () => {
        this.#open([layers.length, ...spotAt(shape, k)]);
        this.#opened.focus();
      };
      const button = make("button", { type: "button", tabindex: -1 }, name);
      return make(
        "tr",
        { onclick: open },
        make("th", { scope: "row" }, button),
        make("td", { class: "bar" }, make("span")),
        make("td", { class: "percent" }),
        make("td", { class: "marks" }),
      );
    }));
    reach(this.#bars);
  }

  /**
   * @param {Layer} layer
   * @param {number} i
   */
  #kernels(layer, i) {
    const [h, w] = layer.shape;
    return kernels(layer, this.#limits[i], (channel, from) => {
      const place = [i + 1, channel, Math.floor(h / 2), Math.floor(w / 2)];
      const { open } = this.state;
      const stays = open?.[0] === i + 1; // at this pixel, then
      this.change({ open: stays ? [i + 1, channel, open[2], open[3]] : place, from });
      this.#opened.focus();
    });
  }

  /**
   * Open a number, or none. In one layer the same input map stays in view.
   * @param {Place | undefined} open
   */
  #open(open) {
    const stays = open && open[0] === this.state.open?.[0];
    this.change({ open, from: stays ? this.state.from : undefined });
  }

  /**
   * Open a pixel of a map; by keyboard, the one with the largest number.
   * @param {number} step
   * @param {number} map
   * @param {[number, number] | undefined} pixel
   */
  #enter(step, map, pixel) {
    if (!this.#scene) return;
    const result = resultOf(this.#scene, step);
    const place = fromDrawn(result.shape, [map, ...pixel ?? brightest(drawnMap(result, map))]);
    if (!place) return; // behind the last unit
    this.#open([step, ...place]);
    this.#opened.focus();
  }

  /** Close what is open, and give the keys back to the maps. */
  #close() {
    const [step, map] = this.state.open ?? [0, 0];
    this.#open(undefined);
    if (step === this.#layers.length) this.#bars.querySelector("button[tabindex='0']")?.focus();
    else if (step) this.#sheets[step - 1].focus(map);
    else this.#pad.focus();
  }

  /** @param {File} file */
  async #take(file) {
    this.#draw(await fromFile(file, SIDE), true);
  }

  /** @param {File} file */
  async #swap(file) {
    this.#use(await contentOf(file));
    this.#source.textContent = `your network, “${file.name}”`;
    this.change({});
  }

  /** A seed other than the one that is seen. */
  #nextSeed() {
    const now = /^noise-(\d+)$/.exec(this.state.picture);
    return now ? Number(now[1]) + 1 : 1;
  }

  /**
   * Look at a picture that is neither of the test set nor noise.
   * @param {Tensor} picture
   * @param {boolean} own Whether it is the reader's own, which no address holds.
   */
  #draw({ shape, data }, own = false) {
    this.#picture = tensor(shape, own ? data : data.map((x) => level(x) / GREYS));
    this.#made = own ? "own" : `drawn-${written(this.#picture)}`;
    this.change({ picture: this.#made });
  }

  /**
   * Make soft dots.
   * @param {number[][]} places
   */
  #dots(places) {
    if (!places.length) return;
    const data = this.#picture.data.slice();
    for (const [i, j] of places) {
      for (let u = Math.max(0, i - 1); u <= Math.min(SIDE - 1, i + 1); u++) {
        for (let v = Math.max(0, j - 1); v <= Math.min(SIDE - 1, j + 1); v++) {
          const soft = u === i && v === j ? 15 : u === i || v === j ? 9 : 5;
          data[u * SIDE + v] = Math.max(data[u * SIDE + v], soft / GREYS);
        }
      }
    }
    this.#draw(tensor([SIDE, SIDE, 1], data), this.state.picture === "own");
  }

  /**
   * Draw lines to where the pointer has been. What is beside the picture draws nothing.
   * @param {PointerEvent[]} events
   */
  #stroke(events) {
    const { left, top, width, height } = this.#pad.getBoundingClientRect();
    const places = events.flatMap(({ clientX, clientY }) => {
      const to = [SIDE * (clientY - top) / height, SIDE * (clientX - left) / width];
      const from = this.#from ?? to;
      this.#from = to;
      const way = to.map((end, axis) => end - from[axis]);
      const steps = Math.max(1, Math.ceil(2 * Math.hypot(...way))); // two for each pixel
      return Array.from(
        { length: steps },
        (_, n) => from.map((begin, axis) => Math.floor(begin + way[axis] * (n + 1) / steps)),
      );
    });
    this.#dots(places.filter((place) => place.every((at) => at >= 0 && at < SIDE)));
  }

  #listen() {
    const pad = this.#pad;
    pad.tabIndex = 0;
    pad.setAttribute("role", "application"); // or screen readers keep the arrow keys
    pad.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pad.setPointerCapture(event.pointerId);
      this.#from = undefined;
      this.#stroke([event]);
    });
    pad.addEventListener("pointermove", (event) => {
      if (!pad.hasPointerCapture(event.pointerId)) return;
      const all = event.getCoalescedEvents?.() ?? [];
      this.#stroke(all.length ? all : [event]);
    });
    pad.addEventListener("keydown", (event) => this.#key(event));
    pad.addEventListener("focus", () => this.#showCursor(pad.matches(":focus-visible")));
    pad.addEventListener("blur", () => this.#showCursor(false));
    this.addEventListener("dragover", (event) => event.preventDefault());
    this.addEventListener("drop", (event) => {
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      event.preventDefault();
      this.attempt(() => file.name.endsWith(".json") ? this.#swap(file) : this.#take(file));
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = arrow(event);
    if (step) {
      this.#at = this.#at.map((at, axis) => Math.min(SIDE - 1, Math.max(0, at + step[axis])));
      if (event.shiftKey) this.#dots([this.#at]);
    } else if (event.key === " ") {
      this.#dots([this.#at]);
    } else {
      return;
    }
    event.preventDefault();
    this.#showCursor(true);
  }

  /** @param {boolean} shown */
  #showCursor(shown) {
    this.#cursor.hidden = !shown;
    this.#pad.ariaDescription = `row ${this.#at[0] + 1}, column ${this.#at[1] + 1}`;
    this.#cursor.style.top = `${100 * this.#at[0] / SIDE}%`;
    this.#cursor.style.left = `${100 * this.#at[1] / SIDE}%`;
  }

  /** Make the picture that the state names. */
  #look() {
    const { picture } = this.state;
    if (picture === this.#made) return;
    const [, kind, rest] = /** @type {RegExpExecArray} */ (/^(\w+)-?(.*)$/.exec(picture));
    if (kind === "test") this.#picture = this.#tests[Number(rest)];
    else if (kind === "noise") {
      this.#picture = tensor([SIDE, SIDE, 1], noise(Number(rest), SIDE * SIDE));
    } else if (kind === "drawn") this.#picture = drawing(picture) ?? this.#picture;
    this.#made = picture;
  }

  draw() {
    this.#look();
    if (this.#scene?.picture !== this.#picture) this.#compute();
    const scene = /** @type {Scene} */ (this.#scene);
    const { open, from } = this.state;
    this.#sheets.forEach((sheet, i) =>
      sheet.mark((map) => open && framed(scene, open, i + 1, map))
    );
    this.#framed = mark(
      this.#over.drawing,
      this.#pad,
      open && framed(scene, open, 0, 0),
      this.#framed,
    );
    this.#opened.element.hidden = !open;
    if (open) this.#opened.show(scene, open, from);
  }

  /** Compute the network for a new picture, and show what it makes of it. */
  #compute() {
    const stages = forward(this.#layers, this.#picture);
    const logits = stages[stages.length - 1].result.data;
    const empty = this.#picture.data.every((x) => x === 0);
    const finite = logits.every(Number.isFinite);
    const probabilities = empty || !finite ? undefined : Array.from(softmax(logits));
    const scene = this.#scene = {
      layers: this.#layers,
      limits: this.#limits,
      picture: this.#picture,
      stages,
      classes: this.#names,
      probabilities,
    };
    paint(this.#pad, this.#picture);
    for (const radio of this.#choices.querySelectorAll("input")) {
      radio.checked = radio.value === this.state.picture;
    }
    this.#sheets.forEach((sheet, i) =>
      sheet.show(stages[i].result, this.#layers[i].name, colours(scene, i + 1))
    );
    const test = /^test-(\d+)$/.exec(this.state.picture);
    const truth = test ? this.data.labels[Number(test[1])] : undefined;
    const order = this.#names.map((_, k) => k);
    if (probabilities) order.sort((a, b) => probabilities[b] - probabilities[a]);
    [...this.#bars.rows].forEach(
      (/** @type {HTMLTableRowElement} */ line, /** @type {number} */ k) => {
        const [, bar, percent, marks] = line.cells;
        const p = 100 * (probabilities?.[k] ?? 0);
        /** @type {HTMLElement} */ (bar.firstChild).style.width = `${p}%`;
        percent.textContent = probabilities ? `${p.toFixed(1)} %` : "–";
        const best = probabilities !== undefined && k === order[0];
        line.classList.toggle("best", best);
        const words = [best ? "answer" : "", k === truth ? "label" : ""].filter(Boolean);
        marks.textContent = words.join(", ");
      },
    );
    if (empty) return say(this.#said, "Nothing is drawn.");
    if (!probabilities) {
      return say(this.#said, "The network's numbers are too large for this picture: no answer.");
    }
    const best = order.slice(0, 2)
      .map((k) => `${this.#names[k]} ${Math.round(100 * probabilities[k])} %`);
    say(
      this.#said,
      `The network says: ${best.join(", ")}.` +
        (truth === undefined ? "" : ` The label is ${this.#names[truth]}.`),
    );
  }
}

/**
 * The pixel with the largest number.
 * @param {Tensor} map (h, w)
 * @returns {[number, number]}
 */
function brightest({ shape: [, w], data }) {
  let best = 0;
  data.forEach((x, at) => {
    if (x > data[best]) best = at;
  });
  return [Math.floor(best / w), best % w];
}

define("cnn-lenet", LeNet);
