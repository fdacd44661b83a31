/** LeNet live: a picture to choose, to draw or to bring along, and all that the network makes of it. */

import { activations, correlate, dense, pool2d, softmax, tensor } from "./arithmetic.js";
import { arrow, define, Explorer, make, row, say } from "./element.js";
import { canvas, fromFile, largest, paint, unpack } from "./picture.js";

/** @typedef {import("./arithmetic.js").Tensor} Tensor */
/** @typedef {import("./picture.js").Packed} Packed */

/**
 * One step of a network, as `cnn_tf.save_network` writes it.
 * @typedef {{kind: "conv" | "dense" | "pool" | "flatten" | keyof typeof activations, name: string,
 *   kernel: Tensor, bias: Tensor, strides: [number, number],
 *   padding: import("./arithmetic.js").Padding, pool_size: [number, number],
 *   mode: "max" | "avg"}} Step
 */

const SIDE = 28;

/**
 * The steps of a network, with their weights as tensors.
 * @param {{layers?: any[]}} file What `cnn_tf.save_network` has written.
 * @returns {Step[]}
 */
export function network(file) {
  const kinds = ["conv", "dense", "pool", "flatten", ...Object.keys(activations)];
  const layers = file?.layers;
  if (!Array.isArray(layers) || !layers.length || !layers.every((it) => kinds.includes(it?.kind))) {
    throw new TypeError("This is no network: write one with cnn_tf.save_network(model, path).");
  }
  return layers.map((step) => ({
    ...step,
    ...(step.kernel && { kernel: unpack(step.kernel), bias: unpack(step.bias) }),
  }));
}

/**
 * What each step makes of a picture; the last one holds the logits.
 * @param {Step[]} steps
 * @param {Tensor} picture (28, 28, 1)
 * @returns {Tensor[]}
 */
export function forward(steps, picture) {
  let X = picture;
  return steps.map((step) => X = apply(step, X));
}

/**
 * @param {Step} step
 * @param {Tensor} X
 * @returns {Tensor}
 */
function apply({ kind, kernel, bias, strides, padding, pool_size, mode }, X) {
  if (kind === "conv") return correlate(X, kernel, { strides, padding, bias: bias.data });
  if (kind === "pool") return pool2d(X, pool_size, mode, { strides, padding });
  if (kind === "flatten") return tensor([X.data.length], X.data);
  if (kind === "dense") return tensor([bias.data.length], dense(X.data, kernel, bias.data));
  return tensor(X.shape, X.data.map(activations[kind]));
}

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

/** @param {Tensor} picture */
function written({ data }) {
  const digits = Array.from(data, (x) => Math.round(15 * Math.min(1, Math.max(0, x))).toString(16));
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
  const data = Float64Array.from(digits, (digit) => parseInt(digit, 16) / 15);
  return tensor([SIDE, SIDE, 1], data);
}

export class LeNet extends Explorer {
  static kinds = {
    picture: {
      /** @param {string} text */
      read: (text) =>
        /^(test|noise)-(0|[1-9]\d{0,8})$/.test(text) || drawing(text) ? text : undefined,
      /** @param {string} value */
      write: (value) => value === "own" ? "test-0" : value, // own pictures stay on this machine
    },
  };

  static defaults = { picture: "test-0" };

  /** @type {Tensor[]} */
  #tests = [];

  /** @type {string[]} */
  #names = [];

  /** @type {Step[]} */
  #steps = [];

  /** The picture that is looked at. */
  #picture = tensor([SIDE, SIDE, 1]);

  /** What `#picture` was made from. */
  #made = "";

  #choices = make(
    "fieldset",
    { class: "thumbnails" },
    make("legend", {}, "Pictures of the test set"),
  );

  #pad = canvas("The picture. Draw with the pointer, or with the arrow keys and Space.", 224);

  #cursor = make("span", { class: "cursor", hidden: true });

  /** Where the keyboard draws. */
  #at = [SIDE / 2, SIDE / 2];

  #maps = make("div", { class: "maps" });

  #bars = make("tbody");

  #said = make("p", { class: "note", role: "status" });

  #alert = make("p", { class: "note", role: "alert" });

  #source = make("span");

  settle() {
    const test = /^test-(\d+)$/.exec(this.state.picture);
    if (test && Number(test[1]) >= this.#tests.length && this.#tests.length) {
      this.state.picture = "test-0";
    }
  }

  build() {
    this.#names = this.data.class_names;
    const all = unpack(this.data.pictures);
    this.#tests = this.data.labels.map((/** @type {number} */ _, /** @type {number} */ i) =>
      tensor([SIDE, SIDE, 1], all.data.slice(i * SIDE * SIDE, (i + 1) * SIDE * SIDE))
    );
    this.settle();
    this.#useFirst();
    this.#choices.append(...this.#tests.map((picture, i) => this.#choice(picture, i)));
    this.#listen();
    return [
      this.#choices,
      row(
        make("div", { class: "pad" }, this.#pad, this.#cursor),
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
        this.fileControl("Your picture", "image/*", (file) => this.#try(() => this.#open(file))),
        this.button("Invert", () => {
          const data = this.#picture.data.map((x) => 1 - x);
          this.#draw(tensor([SIDE, SIDE, 1], data), this.state.picture === "own");
        }),
      ),
      this.#maps,
      row(
        make("span", {}, "You look into ", this.#source, "."),
        this.fileControl(
          "Your network",
          ".json,application/json",
          (file) => this.#try(() => this.#swap(file)),
        ),
      ),
      this.#alert,
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
    this.#alert.textContent = "";
    this.#useFirst();
    super.reset();
  }

  /** Take the network that came with the explorer. */
  #useFirst() {
    this.#use(network(this.data.network));
    this.#source.textContent = this.hasAttribute("linked")
      ? "the network that was trained while this page was built"
      : "the network of this notebook";
  }

  /**
   * Take this network, if it fits the pictures and the classes.
   * @param {Step[]} steps
   */
  #use(steps) {
    const logits = forward(steps, this.#tests[0]).at(-1);
    if (logits?.data.length !== this.#names.length) {
      throw new RangeError(
        `The explorer expects a network with ${this.#names.length} outputs for pictures of ` +
          `${SIDE} × ${SIDE}. Received: one with ${logits?.data.length} outputs.`,
      );
    }
    this.#steps = steps;
    let block = 0;
    const sheets = steps.flatMap(({ kind, mode, pool_size }, i) => {
      if (kind === "conv") block++;
      const words = kind === "pool"
        ? `${mode === "max" ? "maximum" : "mean"} of ${pool_size.join(" × ")}`
        : `convolution, then ${kind}`;
      const shown = kind === "pool" || (kind in activations && this.#isMap(i));
      return shown ? [sheet(i, `Block ${block}: ${words}`)] : [];
    });
    this.#maps.replaceChildren(...sheets);
    this.#bars.replaceChildren(...this.#names.map((name) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, name),
        make("td", { class: "bar" }, make("span")),
        make("td"),
      )
    ));
  }

  /** @param {number} i Whether the result of this step has channels and a place. */
  #isMap(i) {
    return this.#steps.slice(0, i).every(({ kind }) => kind !== "flatten");
  }

  /** @param {() => Promise<void>} action */
  async #try(action) {
    this.#alert.textContent = "";
    try {
      await action();
    } catch (error) {
      this.#alert.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  /** @param {File} file */
  async #open(file) {
    this.#draw(await fromFile(file, SIDE), true);
  }

  /** @param {File} file */
  async #swap(file) {
    let content;
    try {
      content = JSON.parse(await file.text());
    } catch {
      throw new TypeError(
        `“${file.name}” is no JSON file: write one with cnn_tf.save_network(model, path).`,
      );
    }
    this.#use(network(content));
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
  #draw(picture, own = false) {
    this.#picture = picture;
    this.#made = own ? "own" : `drawn-${written(picture)}`;
    this.change({ picture: this.#made });
  }

  /**
   * Make a soft dot.
   * @param {number[]} place
   */
  #dot([i, j]) {
    const data = this.#picture.data.slice();
    for (let u = Math.max(0, i - 1); u <= Math.min(SIDE - 1, i + 1); u++) {
      for (let v = Math.max(0, j - 1); v <= Math.min(SIDE - 1, j + 1); v++) {
        const soft = u === i && v === j ? 1 : u === i || v === j ? 0.6 : 0.3;
        data[u * SIDE + v] = Math.max(data[u * SIDE + v], soft);
      }
    }
    this.#draw(tensor([SIDE, SIDE, 1], data), this.state.picture === "own");
  }

  #listen() {
    const pad = this.#pad;
    pad.tabIndex = 0;
    pad.setAttribute("role", "application"); // or screen readers keep the arrow keys
    const place = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      const { left, top, width, height } = pad.getBoundingClientRect();
      const cell = (/** @type {number} */ part) =>
        Math.min(SIDE - 1, Math.max(0, Math.floor(SIDE * part)));
      return [cell((clientY - top) / height), cell((clientX - left) / width)];
    };
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      this.#dot(place(event));
    });
    pad.addEventListener("pointermove", (event) => {
      if (pad.hasPointerCapture(event.pointerId)) this.#dot(place(event));
    });
    pad.addEventListener("keydown", (event) => this.#key(event));
    pad.addEventListener("focus", () => this.#showCursor(pad.matches(":focus-visible")));
    pad.addEventListener("blur", () => this.#showCursor(false));
    this.addEventListener("dragover", (event) => event.preventDefault());
    this.addEventListener("drop", (event) => {
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      event.preventDefault();
      this.#try(() => file.name.endsWith(".json") ? this.#swap(file) : this.#open(file));
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = arrow(event);
    if (step) {
      this.#at = this.#at.map((at, axis) => Math.min(SIDE - 1, Math.max(0, at + step[axis])));
      if (event.shiftKey) this.#dot(this.#at);
    } else if (event.key === " ") {
      this.#dot(this.#at);
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
    const stages = forward(this.#steps, this.#picture);
    const probabilities = softmax(/** @type {Tensor} */ (stages.at(-1)).data);

    paint(this.#pad, this.#picture);
    for (const radio of this.#choices.querySelectorAll("input")) {
      radio.checked = radio.value === this.state.picture;
    }
    for (const maps of this.#maps.querySelectorAll(".sheet")) {
      paintMaps(maps, stages[Number(maps.dataset.step)]);
    }
    [...this.#bars.rows].forEach(
      (/** @type {HTMLTableRowElement} */ line, /** @type {number} */ k) => {
        const [, bar, percent] = line.cells;
        /** @type {HTMLElement} */ (bar.firstChild).style.width = `${100 * probabilities[k]}%`;
        percent.textContent = `${(100 * probabilities[k]).toFixed(1)} %`;
      },
    );
    const order = Array.from(probabilities.keys()).sort((a, b) =>
      probabilities[b] - probabilities[a]
    );
    const best = order.slice(0, 2)
      .map((k) => `${this.#names[k]} ${Math.round(100 * probabilities[k])} %`);
    const test = /^test-(\d+)$/.exec(this.state.picture);
    const truth = test && this.#names[this.data.labels[Number(test[1])]];
    say(
      this.#said,
      `The network says: ${best.join(", ")}.` +
        (truth ? ` The label is ${truth}.` : ""),
    );
  }
}

/**
 * A figure for the feature maps of a step.
 * @param {number} step
 * @param {string} words
 * @returns {HTMLElement}
 */
function sheet(step, words) {
  const maps = make("div", { class: "sheet", role: "img", "data-step": step });
  return make("figure", {}, maps, make("figcaption", {}, words));
}

/**
 * Paint feature maps side by side, on one scale.
 * @param {HTMLElement} onto
 * @param {Tensor} maps (h, w, channels)
 */
function paintMaps(onto, maps) {
  const [h, w, channels] = maps.shape;
  while (onto.children.length < channels) onto.append(make("canvas", { "aria-hidden": "true" }));
  onto.setAttribute("aria-label", `${channels} feature maps of ${h} × ${w}`);
  const columns = channels <= 8 ? channels : Math.ceil(channels / 2);
  onto.style.setProperty("--columns", String(columns));
  onto.style.width = `${columns * w * (w >= 14 ? 3 : 6)}px`;
  const limit = largest(maps) || 1;
  for (let c = 0; c < channels; c++) {
    const map = tensor([h, w], maps.data.filter((_, i) => i % channels === c));
    paint(/** @type {HTMLCanvasElement} */ (onto.children[c]), map, { signed: true, limit });
  }
}

define("cnn-lenet", LeNet);
