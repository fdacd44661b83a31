/** LeNet with its optimiser, its random numbers and its place in the training pictures. */

import { CHOICES } from "./choices.js";
import { crossEntropy } from "./gradients.js";
import { Look, sumOfSquares } from "./look.js";
import { inOneSpace } from "./multiply.js";
import { OPTIMISERS, SCHEDULES } from "./optimizers.js";
import { Random } from "./random.js";
import { Trace } from "./trace.js";
import { CLASSES, Lenet, PIXELS } from "./trainable-lenet.js";
import { fileOf, readFile } from "./trainee-file.js";

/** @typedef {Required<import("./choices.js").Choices>} Choices */
/** @typedef {{pictures: Uint8Array, labels: Uint8Array}} Part Pixels of 28 x 28, classes from 0 to 9. */
/** @typedef {{train: Part, validation: Part}} Data */
/** @typedef {{scale: number, offset: number}} Rescaling Of pixels from 0 to 1. */

/**
 * @typedef {object} Field What an output in the middle of a layer's maps sees. Rows and columns are
 *   alike.
 * @property {number} place The row of the output, which is its column, too.
 * @property {number} from The first row of the pixels in its receptive field.
 * @property {number} side How many rows that has.
 * @property {Float32Array} field (28, 28): how strongly the output depends on each pixel.
 */

/** @typedef {{step: number, loss: number, length: number[], variation: number[], slope: number[]}} Measures */

/** The numbers among the choices. Whole ones have a third entry. */
const NUMBERS = { rate: [1e-6, 1000], batch: [1, 256, 1], seed: [0, 2 ** 32 - 1, 1] };

/** So many pictures are computed at a time: few, so that a phone can answer in between. */
const SLICE = 32;

/** So many pictures are measured, as on the page about LeNet. */
const MEASURED = 300;

/** On so many pictures it is seen how outputs depend on pixels. */
const TRACED = 100;

export class Trainee {
  /** Steps done. */
  steps = 0;

  #data;
  #plain;
  #scaled;
  #optimiser;

  /** The weights, while the trainee rests. @type {Map<string, Float32Array>} */
  #kept = new Map();

  /** The layers and their buffers, while it works. @type {Lenet | undefined} */
  #working = undefined;

  /** By the layer that is traced back. @type {Map<string, Trace>} */
  #traces = new Map();

  /** The order of the pictures in an epoch. */
  #order = { epoch: -1, pictures: new Uint32Array(0) };

  /**
   * @param {Partial<Choices>} choices What is left out is that of the classic recipe.
   * @param {Data} data
   * @param {{rescaling?: Rescaling, plain?: boolean}} options `rescaling`: other numbers than those
   *   of the training pictures, for standardised input. `plain`: without WebAssembly.
   */
  constructor(choices, data, { rescaling, plain = false } = {}) {
    this.choices = checked(choices);
    this.#data = { train: checkedPart(data, "train"), validation: checkedPart(data, "validation") };
    this.#plain = plain;
    this.rescaling = this.choices.input === "plain"
      ? undefined
      : rescaling ?? standardising(data.train.pictures);
    this.#scaled = Float32Array.from({ length: 256 }, (_, pixel) => this.#rescaled(pixel / 255));
    this.#optimiser = new OPTIMISERS[this.choices.optimiser]();
    this.#draw();
  }

  /**
   * Continue with a network from a file.
   * @param {any} file What `cnn_tf.save_network`, or `file` below, has written of a LeNet.
   * @param {Partial<Choices>} choices What the file decides is taken from it.
   * @param {Data} data
   * @returns {Trainee}
   */
  static open(file, choices, data) {
    const { rescaling, weights, ...decided } = readFile(file);
    const trainee = new Trainee({ ...choices, ...decided }, data, { rescaling });
    trainee.setWeights(weights);
    return trainee;
  }

  /** What `cnn_tf.load_network` and the explorer of LeNet read. */
  file() {
    return fileOf(this.choices, this.parameters, this.rescaling);
  }

  // --- Weights -----------------------------------------------------------------------------------

  /** All weights, by the names that Keras gives those of `cnn_tf.LeNet`. */
  get parameters() {
    return this.#lenet.parameters;
  }

  /** @param {{[name: string]: ArrayLike<number>}} weights */
  setWeights(weights) {
    for (const [name, values] of Object.entries(weights)) {
      const { value } = this.#parameter(name);
      if (value.length !== values.length) {
        throw new RangeError(`${name} has ${value.length} numbers. Received: ${values.length}.`);
      }
      value.set(values);
    }
  }

  /** A copy of the kernels of the first convolution, (5, 5, 1, 6). */
  kernels() {
    return this.#parameter("conv1/kernel").value.slice();
  }

  /** @param {string} name */
  #parameter(name) {
    const found = this.parameters.find((parameter) => parameter.name === name);
    if (found) return found;
    const names = this.parameters.map((parameter) => parameter.name).join(", ");
    throw new RangeError(`Expected one of ${names}. Received: ${name}.`);
  }

  /** Give the buffers back until the next use: the weights stay. */
  rest() {
    if (!this.#working) return;
    for (const { name, value } of this.parameters) this.#kept.set(name, value.slice());
    this.#working = undefined;
    this.#traces.clear();
  }

  /**
   * The network, whose buffers are made when it is needed first.
   * @returns {Lenet}
   */
  get #lenet() {
    if (this.#working) return this.#working;
    const lenet = inOneSpace((space) => new Lenet(space, this.choices, this.#slice), {
      plain: this.#plain,
    });
    for (const { name, value } of lenet.parameters) value.set(this.#kept.get(name) ?? value);
    this.#kept.clear();
    return this.#working = lenet;
  }

  /** How many pictures are computed at a time. A normalisation must see all of a minibatch. */
  get #slice() {
    const { batch, normalisation } = this.choices;
    return normalisation === "batch" ? Math.max(batch, MEASURED) : SLICE;
  }

  /** The first weights. Biases stay zero. */
  #draw() {
    const random = new Random(this.choices.seed, 0);
    for (const { name, shape, value } of this.parameters) {
      if (!name.endsWith("/kernel")) continue;
      const window = shape.slice(0, -2).reduce((product, size) => product * size, 1);
      const [n, m] = shape.slice(-2).map((count) => window * count);
      const limit = LIMITS[this.choices.weights](n, m);
      for (let i = 0; i < value.length; i++) value[i] = random.uniform(limit);
    }
  }

  // --- Training ----------------------------------------------------------------------------------

  /** One minibatch: its loss before the step. If that is no number, the weights stay. */
  step() {
    return finished(this.stepping());
  }

  /**
   * The same, bit by bit: whoever goes through it may do something else in between, but not with
   * this trainee's pictures.
   * @returns {Generator<void, {loss: number}>}
   */
  *stepping() {
    const lenet = this.#lenet;
    const pictures = this.minibatch();
    lenet.clear();
    let loss = 0;
    for (let at = 0; at < pictures.length; at += this.#slice) {
      const slice = pictures.subarray(at, at + this.#slice);
      const labels = this.#load(lenet, this.#data.train, slice);
      const logits = yield* lenet.forward(slice.length, true);
      loss += crossEntropy(logits, labels, 1 / pictures.length) / pictures.length;
      yield* lenet.backward(logits, slice.length);
    }
    if (!Number.isFinite(loss) || !lenet.finite()) return { loss: NaN };
    const { rate, schedule } = this.choices;
    this.#optimiser.step(lenet.parameters, rate * SCHEDULES[schedule](this.steps));
    lenet.follow();
    this.steps++;
    return { loss };
  }

  /** Which training pictures the next step takes. The last minibatch of an epoch may be smaller. */
  minibatch() {
    const { batch, seed } = this.choices;
    const { length } = this.#data.train.labels;
    const each = Math.ceil(length / batch);
    const [epoch, number] = [Math.floor(this.steps / each), this.steps % each];
    if (this.#order.epoch !== epoch) {
      this.#order = { epoch, pictures: new Random(seed, epoch + 1).permutation(length) };
    }
    return this.#order.pictures.subarray(number * batch, (number + 1) * batch);
  }

  /**
   * Bring pictures to the input of the network, and give their labels.
   * @param {Lenet} lenet
   * @param {Part} part
   * @param {ArrayLike<number>} places
   */
  #load({ input }, { pictures, labels }, places) {
    const scaled = this.#scaled;
    for (let i = 0; i < places.length; i++) {
      const [from, to] = [places[i] * PIXELS, i * PIXELS];
      for (let at = 0; at < PIXELS; at++) input[to + at] = scaled[pictures[from + at]];
    }
    return Uint8Array.from(places, (place) => labels[place]);
  }

  /** @param {number} x */
  #rescaled(x) {
    return this.rescaling ? x * this.rescaling.scale + this.rescaling.offset : x;
  }

  /** How many validation pictures there are. */
  get validationSize() {
    return this.#data.validation.labels.length;
  }

  // --- Looking -----------------------------------------------------------------------------------

  /**
   * The mean loss on validation pictures from one to before another, and how many of them are right.
   * @param {number} from
   * @param {number} to
   */
  evaluate(from, to) {
    const lenet = this.#lenet;
    let [loss, right] = [0, 0];
    for (let at = from; at < to; at += this.#slice) {
      const places = range(at, Math.min(at + this.#slice, to));
      const labels = this.#load(lenet, this.#data.validation, places);
      const logits = finished(lenet.forward(places.length, false));
      labels.forEach((label, i) => {
        const row = logits.subarray(i * CLASSES, (i + 1) * CLASSES);
        right += Number(row.indexOf(Math.max(...row)) === label);
      });
      loss += crossEntropy(logits, labels, 1);
    }
    return { loss: loss / (to - from), right };
  }

  /**
   * The probabilities of the classes.
   * @param {number | ArrayLike<number>} picture The place of a validation picture, or 28 x 28 numbers
   *   from 0 to 1.
   */
  classify(picture) {
    const lenet = this.#lenet;
    if (typeof picture === "number") this.#load(lenet, this.#data.validation, [picture]);
    else for (let i = 0; i < PIXELS; i++) lenet.input[i] = this.#rescaled(picture[i]);
    const logits = finished(lenet.forward(1, false)).slice();
    const largest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - largest));
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  }

  /** What the page about LeNet measures, on the first training pictures. Nothing changes by it. */
  measure() {
    return finished(this.measuring());
  }

  /**
   * The same, bit by bit.
   * @returns {Generator<void, Measures>} `length`: of the gradient of each kernel. `variation`: how
   *   much a unit's output varies over the pictures (its standard deviation), the mean over all
   *   units of a layer. `slope`: the mean derivative of the activations of a hidden layer.
   */
  *measuring() {
    const lenet = this.#lenet;
    const count = Math.min(MEASURED, this.#data.train.labels.length);
    const looks = lenet.outputs.map(({ units }) => new Look(units));
    lenet.clear();
    let loss = 0;
    for (let at = 0; at < count; at += this.#slice) {
      const places = range(at, Math.min(at + this.#slice, count));
      const labels = this.#load(lenet, this.#data.train, places);
      const logits = yield* lenet.forward(places.length, true);
      lenet.outputs.forEach(({ activation }, i) =>
        looks[i].add(activation?.y ?? logits, activation)
      );
      loss += crossEntropy(logits, labels, 1 / count) / count;
      yield* lenet.backward(logits, places.length);
    }
    return {
      step: this.steps,
      loss,
      length: lenet.kernelGradients().map((gradient) => Math.sqrt(sumOfSquares(gradient))),
      variation: looks.map((look) => look.variation()),
      slope: looks.slice(0, -1).map((look) => look.slope()),
    };
  }

  /**
   * How strongly an output of a layer with windows depends on each pixel, which is from 0 to 1: the
   * mean size of the derivative over the first validation pictures and the layer's channels.
   * @param {string} layer
   */
  field(layer) {
    return finished(this.tracing(layer));
  }

  /**
   * The same, bit by bit.
   * @param {string} layer
   * @returns {Generator<void, Field>}
   */
  *tracing(layer) {
    const count = Math.min(TRACED, this.validationSize);
    const trace = this.#traces.get(layer) ??
      new Trace(layer, this.choices, count, { plain: this.#plain });
    this.#traces.set(layer, trace);
    const pictures = this.#data.validation.pictures.subarray(0, count * PIXELS);
    const field = yield* trace.field(this.parameters, pictures, this.#scaled);
    const { place, from, side } = trace;
    return { place, from, side, field };
  }
}

// --- Checks and small parts ----------------------------------------------------------------------

/**
 * First weights are uniform between minus and plus this, for n inputs and m outputs.
 * @type {{[rule: string]: (n: number, m: number) => number}}
 */
const LIMITS = {
  glorot: (n, m) => Math.sqrt(6 / (n + m)),
  times_four: (n, m) => 4 * Math.sqrt(6 / (n + m)),
  he: (n) => Math.sqrt(6 / n),
};

/**
 * @param {Partial<Choices>} choices
 * @returns {Choices}
 */
function checked(choices) {
  const all = { ...CHOICES.classic, seed: 0, ...choices };
  for (const [key, value] of Object.entries(all)) {
    if (key in CHOICES.words) {
      const words = Object.keys(CHOICES.words[key]);
      if (words.includes(/** @type {string} */ (value))) continue;
      throw new RangeError(`Expected ${key} to be one of ${words.join(", ")}. Received: ${value}.`);
    }
    const [least, most, whole] = NUMBERS[/** @type {keyof typeof NUMBERS} */ (key)] ?? [];
    if (least === undefined) {
      const keys = [...Object.keys(CHOICES.words), ...Object.keys(NUMBERS)];
      throw new RangeError(`Expected the choices ${keys.join(", ")}. Received: ${key}.`);
    }
    const what = `${key} to be ${whole ? "an integer" : "a number"} from ${least} to ${most}`;
    if (typeof value !== "number") {
      throw new TypeError(`Expected ${what}. Received: ${JSON.stringify(value)}.`);
    }
    if (!(value >= least && value <= most && (!whole || Number.isInteger(value)))) {
      throw new RangeError(`Expected ${what}. Received: ${value}.`);
    }
  }
  return all;
}

/**
 * @param {Data} data
 * @param {"train" | "validation"} name
 * @returns {Part}
 */
function checkedPart(data, name) {
  const { pictures, labels } = data?.[name] ?? {};
  const bytes = pictures instanceof Uint8Array && labels instanceof Uint8Array;
  if (!bytes || !labels.length || pictures.length !== labels.length * PIXELS) {
    throw new TypeError(
      `Expected ${name} pictures, ${PIXELS} bytes each, and a label for each. Received: ` +
        (bytes ? `${pictures.length} bytes and ${labels.length} labels.` : "no bytes."),
    );
  }
  const wrong = labels.find((label) => label >= CLASSES);
  if (wrong === undefined) return { pictures, labels };
  throw new RangeError(`Expected labels from 0 to ${CLASSES - 1} in ${name}. Received: ${wrong}.`);
}

/**
 * What gives pixels the mean zero and the standard deviation one.
 * @param {Uint8Array} pixels
 * @returns {Rescaling}
 */
function standardising(pixels) {
  let [sum, squares] = [0, 0];
  for (const pixel of pixels) {
    sum += pixel;
    squares += pixel * pixel;
  }
  const mean = sum / pixels.length / 255;
  const deviation = Math.sqrt(squares / pixels.length / 255 ** 2 - mean ** 2);
  const scale = deviation > 0 ? 1 / deviation : 1; // all alike
  return { scale, offset: -mean * scale };
}

/**
 * @param {number} from
 * @param {number} to
 */
function range(from, to) {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/**
 * What a generator gives at its end.
 * @template T
 * @param {Generator<void, T>} work
 */
function finished(work) {
  let next;
  do next = work.next(); while (!next.done);
  return next.value;
}
