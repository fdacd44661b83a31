/** Kernels on a picture: the page's, one of the reader's own, or what the reader's camera sees. */

import { clamp, correlate, matrix, pad, replicate, rows, tensor } from "./arithmetic.js";
import { arrow, define, Explorer, make, matrixOf, result, row, say, term } from "./element.js";
import { LIMITS } from "./limits.js";
import { Matrix, replaced } from "./matrix.js";
import { format, rounded, sum } from "./numbers.js";
import { unpack } from "./packed.js";
import { Camera, canvas, frame, fromFile, largest, overlay, paint } from "./picture.js";

/** @typedef {import("./arithmetic.js").Tensor} Tensor */

/** Rows and columns of the reader's own pictures. */
const SIDE = 128;

/** The longest sum that is written out: as many terms as a Sobel kernel has. */
const TERMS = 6;

/** @type {{[name: string]: number[][]}} */
const SMALL = {
  identity: [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
  mean: outer([1 / 3, 1 / 3, 1 / 3], [1, 1, 1].map((k) => k / 3)),
  gaussian: outer([1 / 4, 2 / 4, 1 / 4], [1 / 4, 2 / 4, 1 / 4]),
  upright: outer([1, 2, 1], [1, 0, -1]),
  level: outer([1, 0, -1], [1, 2, 1]),
  slanted: [[2, 1, 0], [1, 0, -1], [0, -1, -2]],
  laplacian: [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
  sharpen: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
  emboss: [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
};

/** Those that differ at 5x5; the others get a border of zeros. @type {typeof SMALL} */
const LARGE = {
  mean: outer([1, 1, 1, 1, 1], [0.04, 0.04, 0.04, 0.04, 0.04]),
  gaussian: outer([1, 4, 6, 4, 1], [1 / 256, 4 / 256, 6 / 256, 4 / 256, 1 / 256]),
};

const NAMES = {
  identity: "identity",
  mean: "mean (blur)",
  gaussian: "Gaussian blur",
  upright: "upright edges (Sobel)",
  level: "level edges (Sobel)",
  slanted: "slanted edges",
  laplacian: "Laplacian",
  sharpen: "sharpen",
  emboss: "emboss",
  own: "own",
};

/** @type {import("./element.js").Kind} */
const kernelKind = {
  read(text) {
    const K = matrixOf(LIMITS.kernels.kernel[1]).read(text);
    return [3, 5].includes(K?.length) && K[0].length === K.length ? K : undefined;
  },
  write: matrixOf(LIMITS.kernels.kernel[1]).write,
};

export class Kernels extends Explorer {
  static kinds = { kernel: kernelKind };

  static defaults = { kernel: SMALL.upright };

  /** What the kernel is laid on. The reader's own pictures are no setting: no address holds them. */
  #picture = tensor([1, 1, 1]);

  #own = false;

  #response = tensor([1, 1, 1]);

  /** What the reader has chosen. @type {boolean | undefined} */
  #chosen = undefined;

  /** The pixel that the reader has pointed at. @type {[number, number] | undefined} */
  #pointed = undefined;

  #camera = new Camera();

  #asking = false;

  #frame = 0;

  #input = canvas("Picture: the arrow keys move from pixel to pixel", 256);

  #output = canvas("Response", 256);

  #overInput = overlay(this.#input);

  #overOutput = overlay(this.#output);

  #kernel = new Matrix("K", "k", {
    edit: (i, j, value) => {
      const { kernel } = this.state;
      this.change({ kernel: replaced(kernel, i, j, value) });
    },
  });

  /** The magnifier: the pixels on which the kernel lies. */
  #under = new Matrix("Pixels under K", "x", { least: 3 });

  #total = new Matrix("Sum", "y", { least: 3 });

  /** A kernel of the reader's own of 5 x 5, whose border a smaller one has not. */
  #large = LARGE.mean.map((weights) => weights.map(() => 0));

  #scale = make("div", { class: "small" });

  #sum = make("p", { class: "note", role: "status" });

  #watch = this.button("Use the camera", () => this.#toggle());

  #back = this.button("Back to the first picture", () => {
    this.stop();
    this.#show(this.#first(), false);
    this.change({});
    this.#file.querySelector("input")?.focus(); // this button is gone
  });

  #file = this.fileControl("Choose a picture", "image/*", (file) => this.#open(file));

  build() {
    this.#picture = this.#first();
    // Screen readers keep the arrow keys to themselves, apart from here.
    this.#input.setAttribute("role", "application");
    this.#input.tabIndex = 0;
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("focus", () => this.#point(this.#pointed ?? this.#middle()));
    for (const pixels of [this.#input, this.#output]) {
      const point = (/** @type {PointerEvent} */ event) => {
        const [h, w] = this.#picture.shape;
        const i = Math.floor((event.offsetY / pixels.clientHeight) * h);
        this.#point([i, Math.floor((event.offsetX / pixels.clientWidth) * w)]);
      };
      pixels.addEventListener("pointermove", point);
      pixels.addEventListener("pointerdown", point);
    }
    const choice = this.choiceControl("kernel", {
      options: NAMES,
      get: () => named(this.state.kernel),
      set: (name) => this.change({ kernel: preset(name, this.state.kernel.length) }),
    });
    for (const option of choice.querySelectorAll("[value=own]")) option.disabled = true;
    const black = make("div", { class: "small" }, "black: 0, white: 1");
    const pictures = row(
      make("figure", { class: "x" }, caption("Picture"), this.#overInput.element, black),
      make("figure", { class: "y" }, caption("Response"), this.#overOutput.element, this.#scale),
    );
    pictures.classList.add("pictures");
    pictures.addEventListener("dragover", (event) => event.preventDefault());
    pictures.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#open(event.dataTransfer?.files[0]);
    });
    const star = make("span", { class: "sign", role: "img", "aria-label": "times" }, "·");
    return [
      result(pictures),
      row(
        this.#under.element,
        term(star, this.#kernel.element),
        term("→", this.#total.element),
      ),
      this.#sum,
      row(
        choice,
        this.choiceControl("size", {
          options: { 3: "3 × 3", 5: "5 × 5" },
          get: () => String(this.state.kernel.length),
          set: (size) => {
            const [name, n] = [named(this.state.kernel), Number(size)];
            this.change({ kernel: name === "own" ? this.#resized(n) : preset(name, n) });
          },
        }),
        this.checkControl("signed colours", {
          get: () => this.#signed(),
          set: (value) => {
            this.#chosen = value;
            this.draw();
          },
        }),
      ),
      row(
        this.#file,
        this.#watch,
        this.#back,
      ),
      make("p", { class: "note small" }, "Your picture stays on this machine."),
    ];
  }

  /**
   * The reader's own kernel with 3 or 5 rows and columns.
   * @param {number} n
   */
  #resized(n) {
    const { kernel } = this.state;
    if (kernel.length === 5) this.#large = kernel;
    if (n === 3) return resized(kernel, 3);
    return this.#large.map((weights, i) => weights.map((k, j) => kernel[i - 1]?.[j - 1] ?? k));
  }

  /** The picture that the page gives. */
  #first() {
    const { shape: [h, w], data } = unpack(this.data.picture);
    return tensor([h, w, 1], data);
  }

  #middle() {
    const [h, w] = this.#picture.shape;
    return [Math.floor(h / 2), Math.floor(w / 2)];
  }

  /**
   * @param {Tensor} picture
   * @param {boolean} own Whether it is the reader's.
   */
  #show(picture, own) {
    this.#picture = picture;
    this.#own = own;
    this.draw();
  }

  // The reader's own pictures

  /** @param {File | undefined} file */
  async #open(file) {
    this.stop();
    await this.attempt(async () => {
      if (!file) throw new TypeError("That is no file: choose a picture, PNG or JPEG.");
      this.#show(await fromFile(file, SIDE), true);
    });
  }

  async #toggle() {
    if (this.#asking) return;
    if (this.#camera.running) return this.stop();
    this.#asking = true;
    this.#label();
    document.addEventListener("visibilitychange", this.#leave);
    await this.attempt(() => this.#camera.start());
    this.#asking = false;
    this.#look();
  }

  /** Take what the camera sees now, until it is stopped. */
  #look() {
    if (!this.#camera.running) return this.stop();
    this.#show(this.#camera.picture(SIDE), true);
    this.#frame = requestAnimationFrame(() => this.#look());
  }

  #leave = () => {
    if (document.hidden) this.stop();
  };

  stop() {
    cancelAnimationFrame(this.#frame);
    document.removeEventListener("visibilitychange", this.#leave);
    this.#camera.stop();
    this.#label();
    super.stop();
  }

  reset() {
    this.stop();
    this.#pointed = undefined;
    this.#picture = this.#first();
    this.#own = false;
    super.reset();
  }

  /** Bring the buttons to what they would do now. */
  #label() {
    const { running } = this.#camera;
    this.#watch.textContent = running ? "Stop the camera" : "Use the camera";
    this.#watch.setAttribute("aria-disabled", String(this.#asking)); // it keeps the focus
    this.#sum.setAttribute("aria-live", running ? "off" : "polite"); // it changes at each frame
  }

  // Pointing

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = arrow(event);
    if (!step) return;
    event.preventDefault();
    const [i, j] = this.#pointed ?? this.#middle();
    this.#point([i + step[0], j + step[1]]);
  }

  /** @param {number[]} pixel */
  #point([i, j]) {
    this.#pointed = [i, j];
    this.#mark();
  }

  /** Frame the pixel that is pointed at, and write the sum there. */
  #mark() {
    const drawings = [this.#overInput.drawing, this.#overOutput.drawing];
    const [h, w] = this.#picture.shape;
    for (const drawing of drawings) drawing.setAttribute("viewBox", `0 0 ${w} ${h}`);
    const { kernel } = this.state;
    // The next picture may be smaller.
    const [row, column] = this.#pointed ?? this.#middle();
    const [i, j] = [clamp(row, h), clamp(column, w)];
    if (this.#pointed) this.#pointed = [i, j];
    const before = (kernel.length - 1) / 2;
    drawings[0].replaceChildren(frame(j - before, i - before, kernel.length, kernel.length));
    drawings[1].replaceChildren(frame(j, i, 1, 1));
    /** @type {(u: number, v: number) => number} The border is repeated. */
    const pixel = (u, v) =>
      this.#picture.data[clamp(i + u - before, h) * w + clamp(j + v - before, w)];
    const response = this.#response.data[i * w + j];
    this.#under.show(
      kernel.map((/** @type {number[]} */ weights, /** @type {number} */ u) =>
        weights.map((_, v) => short(pixel(u, v)))
      ),
    );
    this.#total.show([[short(response)]], { lit: () => 1 });
    const products = kernel.flatMap((/** @type {number[]} */ weights, /** @type {number} */ u) =>
      weights.flatMap((k, v) => k === 0 ? [] : [[pixel(u, v), k]])
    );
    const place = `Row ${i + 1}, column ${j + 1}: `;
    say(
      this.#sum,
      place +
        (products.length > 0 && products.length <= TERMS
          ? sum(products, response, short)
          : `the sum of ${products.length} products is ${format(response)}`),
    );
  }

  /** Whether the answers are differences. Weights that add up to 1 give brightnesses again. */
  #signed() {
    let total = 0;
    for (const weight of matrix(this.state.kernel).data) total += weight;
    return this.#chosen ?? Math.abs(total - 1) > 1e-3;
  }

  draw() {
    const { kernel } = this.state;
    const n = kernel.length;
    const K = tensor([n, n, 1, 1], matrix(kernel).data);
    // Zeros around it would make an edge along the border, stronger than those of the picture.
    const before = (n - 1) / 2;
    const around = replicate(this.#picture, [[before, before], [before, before]]);
    this.#response = correlate(around, K);
    const limit = largest(this.#response);
    this.#kernel.show(kernel);
    paint(this.#input, this.#picture);
    if (this.#signed()) {
      paint(this.#output, this.#response, { signed: true, limit: limit || 1 });
      this.#scale.textContent = `full colour: ±${format(limit)} (blue +, orange −)`;
    } else {
      paint(this.#output, this.#response);
      this.#scale.textContent = "black: 0 and less, white: 1 and more";
    }
    this.#back.hidden = !this.#own;
    this.#label();
    this.#mark();
  }
}

/**
 * The numbers of a picture, for a reader.
 * @param {number} value
 */
function short(value) {
  return rounded(value, 3);
}

/** @param {string} name */
function caption(name) {
  return make("figcaption", { class: "name" }, name);
}

/**
 * The products of two lists' numbers.
 * @param {number[]} a
 * @param {number[]} b
 */
function outer(a, b) {
  return a.map((x) => b.map((y) => x * y));
}

/**
 * A copy with 3 or 5 rows and columns: zeros come around it, or its border goes.
 * @param {number[][]} kernel
 * @param {number} n
 * @returns {number[][]}
 */
function resized(kernel, n) {
  if (n === kernel.length) return kernel;
  if (n === 3) return kernel.slice(1, -1).map((weights) => weights.slice(1, -1));
  return rows(pad(tensor([3, 3, 1], matrix(kernel).data), [[1, 1], [1, 1]]));
}

/**
 * @param {string} name
 * @param {number} n
 */
function preset(name, n) {
  return (n === 5 && LARGE[name]) || resized(SMALL[name], n);
}

/**
 * The preset with these numbers, up to the six digits that an address keeps.
 * @param {number[][]} kernel
 */
function named(kernel) {
  const numbers = kernel.flat();
  const same = Object.keys(SMALL).find((name) =>
    preset(name, kernel.length).flat().every((k, at) => Math.abs(k - numbers[at]) < 1e-6)
  );
  return same ?? "own";
}

define("cnn-kernels", Kernels);
