/**
 * Trains networks beside the page, one at a time, and answers in between.
 *
 * In:
 * - `{type: "data", train, validation}`: each `{pictures, labels}`, bytes; first of all.
 * - `{type: "start", id, choices}` or `{type: "open", id, file, choices}`: a new run.
 * - `{type: "run", id}`, `{type: "step", id}`: until `{type: "pause"}`, or a single step.
 * - `{type: "watch", picture, id}`: the place of a validation picture, or its 28 x 28 numbers; and
 *   which run shall classify it now, if none is training.
 * - `{type: "field", layer, id}`: of which layer it shall be told what an output sees, once a second
 *   of the run that trains, or else now of the one named.
 * - `{type: "file", id}`, `{type: "drop", id}`.
 *
 * Out:
 * - `{type: "progress", id, step, losses}` (see `Progress`), at the start of a run, too.
 * - `{type: "paused", id}`, whenever training has ended, for whatever reason.
 * - `{type: "field", id, step, layer, place, from, side, field}` (see `Field`); at the start of a run
 *   for each layer.
 * - `{type: "file", id, file}`, `{type: "error", id, message}`.
 */

import { CHOICES } from "./choices.js";
import { Trainee } from "./trainee.js";

/** @typedef {import("./trainee.js").Data} Data */
/** @typedef {import("./trainee.js").Choices} Choices */
/** @typedef {import("./trainee.js").Measures} Measures */

/**
 * @typedef {object} Progress
 * @property {number} step Steps done since the start.
 * @property {Float32Array} losses Of the steps since the last message.
 * @property {{step: number, loss: number, accuracy: number}} [validation]
 * @property {Measures} [measures]
 * @property {Float32Array} [kernels] (5, 5, 1, 6), of the first convolution.
 * @property {Float32Array} [probabilities] Of the classes, for the picture that is watched.
 * @property {number} [speed] Pictures in a second.
 * @property {Choices} [choices] In the first message.
 */

/** In milliseconds: when to look for messages, to tell of the losses, and to tell all. */
const [PATIENCE, BRIEF, FULL] = [20, 100, 1000];

/** So many validation pictures are classified before messages are looked for. */
const CHUNK = 32;

/** @param {number} step */
function measuredAt(step) {
  return [0, 10, 20].includes(step) || step % 40 === 0;
}

/** @param {number} step */
function validatedAt(step) {
  return step <= 200 ? step % 50 === 0 : step % 100 === 0;
}

/** One network and what is still to be told of it. */
class Run {
  /** @type {number[]} */
  losses = [];

  /** @type {Partial<Progress>} */
  found = {};

  /** The step at which it was measured and validated last. */
  looked = -1;

  /** Pictures trained on since the last message, and milliseconds that this took. */
  pictures = 0;
  time = 0;

  /** When it was told of last. */
  brief = -Infinity;
  full = -Infinity;

  /**
   * @param {number} id
   * @param {Trainee} trainee
   */
  constructor(id, trainee) {
    this.id = id;
    this.trainee = trainee;
  }

  /**
   * Tell what is new, or what there is.
   * @param {boolean} full Kernels and probabilities, too.
   */
  tell(full) {
    const { trainee } = this;
    this.brief = performance.now();
    /** @type {Progress} */
    const progress = {
      step: trainee.steps,
      losses: Float32Array.from(this.losses),
      ...this.found,
    };
    if (this.time > 0) progress.speed = 1000 * this.pictures / this.time;
    if (full) {
      this.full = this.brief;
      progress.kernels = trainee.kernels();
      if (watched !== undefined) progress.probabilities = trainee.classify(watched);
    }
    [this.losses, this.found, this.pictures, this.time] = [[], {}, 0, 0];
    postMessage({ type: "progress", id: this.id, ...progress });
  }

  /**
   * Tell what an output of a layer sees.
   * @param {string} layer
   * @returns {Generator<void, void>}
   */
  *trace(layer) {
    const step = this.trainee.steps;
    const field = yield* this.trainee.tracing(layer);
    postMessage({ type: "field", id: this.id, step, layer, ...field });
  }

  /**
   * Train, until told otherwise, and rest now and then for messages.
   * @param {() => boolean} goesOn
   * @returns {Generator<void, void>}
   */
  *training(goesOn) {
    const { trainee } = this;
    do {
      yield* this.#look();
      const size = trainee.minibatch().length;
      const start = performance.now();
      const { loss } = yield* trainee.stepping();
      this.time += performance.now() - start;
      if (!Number.isFinite(loss)) throw new Error(this.#lost());
      this.losses.push(loss);
      this.pictures += size;
      yield* this.#look();
      const now = performance.now();
      const full = now - this.full >= FULL;
      if (full || now - this.brief >= BRIEF) this.tell(full);
      if (full && traced) yield* this.trace(traced);
    } while (goesOn());
  }

  /**
   * Measure and validate, where it is time, once.
   * @returns {Generator<void, void>}
   */
  *#look() {
    const { trainee } = this;
    const step = trainee.steps;
    if (this.looked === step) return;
    if (measuredAt(step)) this.#find({ measures: yield* trainee.measuring() });
    if (validatedAt(step)) this.#find({ validation: yield* this.#validated(step) });
    this.looked = step;
  }

  /** @param {Partial<Progress>} found A message holds one of each. */
  #find(found) {
    if (Object.keys(found).some((key) => key in this.found)) this.tell(false);
    Object.assign(this.found, found);
  }

  /**
   * @param {number} step
   * @returns {Generator<void, {step: number, loss: number, accuracy: number}>}
   */
  *#validated(step) {
    const count = this.trainee.validationSize;
    let [sum, all] = [0, 0];
    for (let from = 0; from < count; from += CHUNK) {
      const to = Math.min(from + CHUNK, count);
      const { loss, right } = this.trainee.evaluate(from, to);
      sum += loss * (to - from);
      all += right;
      yield;
    }
    return { step, loss: sum / count, accuracy: all / count };
  }

  #lost() {
    const { rate } = this.trainee.choices;
    return `The loss is no longer a number at step ${
      this.trainee.steps + 1
    }. The weights before it ` +
      `are kept. Start again with a smaller learning rate than ${rate}.`;
  }
}

// --- What goes on --------------------------------------------------------------------------------

/** @type {Data | undefined} */
let data = undefined;

/** @type {Map<number, Run>} */
const runs = new Map();

/** @type {number | ArrayLike<number> | undefined} */
let watched = undefined;

/** The layer of which is told what its outputs see. @type {string | undefined} */
let traced = undefined;

/** The run that trains, and its work. @type {{run: Run, work: Generator<void, void>} | undefined} */
let training = undefined;

/** Whether training goes on after the present step. */
let goesOn = false;

/** The run that has buffers. @type {Run | undefined} */
let last = undefined;

/** Its messages wait behind those of the page, and no timer slows them down. */
const turns = new MessageChannel();
turns.port1.onmessage = turn;

/** Work for a while; then it is the messages' turn. */
function turn() {
  if (!training) return;
  const { run, work } = training;
  attempt(run.id, () => {
    const end = performance.now() + PATIENCE;
    do {
      if (work.next().done) return finish();
    } while (performance.now() < end);
    turns.port2.postMessage(undefined);
  }, finish);
}

function finish() {
  if (!training) return;
  const { run } = training;
  training = undefined;
  if (runs.has(run.id)) run.tell(true);
  postMessage({ type: "paused", id: run.id });
  if (runs.has(run.id) && traced) trace(run, [traced]);
}

/**
 * Tell what outputs of layers see, without a break.
 * @param {Run} run
 * @param {string[]} layers
 */
function trace(run, layers) {
  for (const layer of layers) for (const _ of run.trace(layer));
}

/**
 * @param {number} id
 * @param {() => void} action
 * @param {() => void} [afterwards] If it fails.
 */
function attempt(id, action, afterwards) {
  try {
    action();
  } catch (error) {
    afterwards?.();
    postMessage({
      type: "error",
      id,
      message: error instanceof Error ? error.message : `${error}`,
    });
  }
}

/** @param {number} id */
function runOf(id) {
  const run = runs.get(id);
  if (!run) throw new RangeError(`There is no run ${id}. Start or open it first.`);
  if (last !== run) last?.trainee.rest();
  last = run;
  return run;
}

/**
 * @param {number} id
 * @param {(data: Data) => Trainee} make
 */
function begin(id, make) {
  if (!data) throw new TypeError("Expected the pictures before a run.");
  const run = new Run(id, make(data));
  run.found.choices = run.trainee.choices;
  runs.set(id, run);
  if (!training) runOf(id);
  run.tell(true);
  trace(run, CHOICES.fields);
  if (training) run.trainee.rest(); // its buffers are needed when it trains
}

/**
 * @param {number} id
 * @param {boolean} on
 */
function train(id, on) {
  if (training) throw new Error(`Run ${training.run.id} trains already. Pause it first.`);
  const run = runOf(id);
  goesOn = on;
  training = { run, work: run.training(() => goesOn) };
  turns.port2.postMessage(undefined);
}

/** @type {{[type: string]: (message: any) => void}} */
const answers = {
  data({ train, validation }) {
    data = { train, validation };
  },
  start: ({ id, choices }) => begin(id, (data) => new Trainee(choices, data)),
  open: ({ id, file, choices }) => begin(id, (data) => Trainee.open(file, choices, data)),
  run: ({ id }) => train(id, true),
  step: ({ id }) => train(id, false),
  pause() {
    goesOn = false;
  },
  watch({ picture, id }) {
    watched = picture;
    if (training) training.run.full = -Infinity; // at the end of the present step
    else if (runs.has(id)) runOf(id).tell(true);
  },
  field({ layer, id }) {
    traced = layer;
    if (training) training.run.full = -Infinity;
    else if (runs.has(id)) trace(runOf(id), [layer]);
  },
  file({ id }) {
    const run = runs.get(id) ?? runOf(id);
    postMessage({ type: "file", id, file: run.trainee.file() });
    if (run !== last) run.trainee.rest();
  },
  drop({ id }) {
    const run = runs.get(id);
    runs.delete(id);
    if (training?.run === run) finish();
    if (last === run) last = undefined;
  },
};

globalThis.onmessage = (/** @type {MessageEvent} */ { data: message }) => {
  attempt(message.id, () => {
    const answer = answers[message.type];
    if (!answer) {
      const known = Object.keys(answers).join(", ");
      throw new TypeError(`Expected a message of type ${known}. Received: ${message.type}.`);
    }
    answer(message);
  });
};
