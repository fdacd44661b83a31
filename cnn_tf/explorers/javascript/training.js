/** LeNet learns on the reader's machine: by a recipe that the reader chooses, in a worker. */

import { unpackPictures } from "./archive.js";
import { CHOICES, inWords, preset, presetOf, sameRecipe, sameRun } from "./choices.js";
import { linear, Plot, roundEnd } from "./curves.js";
import { calm, choice, define, Explorer, integer, make, number, row, say } from "./element.js";
import { Inside } from "./inside.js";
import { LIMITS } from "./limits.js";
import { contentOf } from "./network.js";
import { inDigits, look, MOST_RUNS, percent, RunTable } from "./run-table.js";
import { GUESS, Run } from "./run.js";
import { Seen } from "./seen.js";
import { readFile } from "./trainee-file.js";
import { Watched } from "./watched.js";

/** @typedef {import("./choices.js").Choices} Choices */
/** @typedef {import("./curves.js").Line} Line */
/** @typedef {import("./run.js").Progress} Progress */
/** @typedef {{choices: Choices, epoch: number, loss: number[], accuracy: number[]}} Recorded
 *   Means of recorded training runs, after each epoch of so many steps. */
/** @typedef {{type: "progress", id: number} & Progress} Told */
/** @typedef {{type: "field", id: number} & import("./run.js").Field} Traced */
/** @typedef {{type: "file", id: number, file: object}} Written */
/** @typedef {{type: "paused", id: number}} Paused */
/** @typedef {{type: "error", id: number, message: string}} Failed */

const BOUNDS = LIMITS.training;

/** @param {string} name */
const words = (name) => choice(Object.keys(CHOICES.words[name]));

/** Between two drawings, and between two sentences that are read or heard, in milliseconds. */
const PAUSES = { draw: 100, drawCalmly: 1000, read: 1000, hear: 5000 };

/** Where the buttons of the learning rate lead: 1, 2 and 5 in each decade, and half-way points. */
const RATES = [1e-3, 1e-2, 1e-1, 1]
  .flatMap((unit) => [1, 1.5, 2, 3, 5, 7].map((digit) => Number((digit * unit).toPrecision(2))));

export class Training extends Explorer {
  static kinds = {
    activation: words("activation"),
    weights: words("weights"),
    pooling: words("pooling"),
    normalisation: words("normalisation"),
    optimiser: words("optimiser"),
    schedule: words("schedule"),
    input: words("input"),
    rate: number(...BOUNDS.rate),
    batch: integer(...BOUNDS.batch),
    seed: integer(...BOUNDS.seed),
    field: choice(CHOICES.fields),
  };

  static defaults = { ...CHOICES.classic, batch: 32, seed: 0, field: "pool2" };

  /** @type {Run[]} */
  #runs = [];

  /** The run that is looked at. @type {Run | undefined} */
  #shown = undefined;

  /** The run that goes on. @type {Run | undefined} */
  #running = undefined;

  /** Settled when the worker has nothing to do. @type {{done: Promise<void>, end: () => void}} */
  #work = { done: Promise.resolve(), end: () => {} };

  #working = false;

  #nextId = 1;

  /** @type {Worker | undefined} */
  #worker = undefined;

  /** Whether a run or a step has been asked for and has not begun. */
  #starting = false;

  /** Whether the pictures are on their way. */
  #fetching = false;

  /** Whether they were refused the last time. */
  #refused = false;

  #train = this.button("Train", () => this.#toggle());

  #step = this.button("Step", () => this.#once("step"));

  #again = this.button("Start again", () => this.#restart());

  #download = this.button("Download the network", () => {
    if (this.#shown) this.#send({ type: "file", id: this.#shown.id });
  });

  #sentence = make("p", { class: "note sentence", "aria-hidden": "true" }); // it changes too often to be heard

  #status = make("p", { class: "hidden", role: "status" });

  #read = 0; // when it changed

  #heard = 0;

  #table = new RunTable((run) => this.#choose(run), (run) => this.#remove(run));

  #loss = new Plot("loss", { width: 340, right: 62 });

  #accuracy = new Plot("right on validation pictures, %", { width: 340, right: 62 });

  #about = make("p", { class: "note small" });

  #inside = new Inside();

  #seen = new Seen(this.choiceControl("What an output sees:", {
    options: Object.fromEntries(CHOICES.fields.map((layer) => [layer, `after ${layer}`])),
    get: () => this.state.field,
    set: (field) => this.change({ field }),
  }));

  /** The layer that the worker traces. */
  #traced = "";

  /** @type {Watched | undefined} */
  #watched = undefined;

  #drawn = 0;

  /** Whether a drawing is on its way. */
  #waits = false;

  /** Whether something has changed since it began. */
  #changed = false;

  // --- What the reader sees ----------------------------------------------------------------------

  build() {
    const watched = this.#watched = new Watched(
      this.data.class_names,
      () => this.#look(),
    );
    this.addEventListener("dragover", (event) => event.preventDefault());
    this.addEventListener("drop", (event) => {
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      event.preventDefault();
      this.attempt(() => this.#open(file));
    });
    return [
      make("div", { class: "settings" }, ...this.#settings()),
      row(this.#train, this.#step, this.#again),
      this.#sentence,
      this.#status,
      this.alert,
      this.#table.element,
      row(this.#loss.element, this.#accuracy.element),
      this.#about,
      this.#inside.element,
      this.#seen.element,
      watched.element,
      row(
        this.#download,
        this.fileControl(
          "Open a network",
          ".json,application/json",
          (file) => this.attempt(() => this.#open(file)),
        ),
      ),
    ];
  }

  #settings() {
    const names = Object.keys(CHOICES.presets);
    const presets = this.choiceControl("recipe", {
      options: { ...Object.fromEntries(names.map((name) => [name, name])), own: "your own" },
      get: () => presetOf(this.#choices) ?? "own",
      set: (name) => this.change(preset(name)),
    });
    // It is chosen by the other controls.
    presets.querySelector("[value=own]")?.toggleAttribute("disabled", true);
    const control = (/** @type {string} */ label, /** @type {string} */ key) =>
      this.choiceControl(label, {
        options: CHOICES.words[key],
        get: () => this.state[key],
        set: (word) => this.change({ [key]: word }),
      });
    const numbers = (
      /** @type {string} */ label,
      /** @type {string} */ key,
      /** @type {typeof nextRate | undefined} */ next = undefined,
    ) =>
      this.numberControl(label, {
        least: BOUNDS[key][0],
        most: BOUNDS[key][1],
        get: () => this.state[key],
        set: (value) => this.change({ [key]: value }),
        next,
      });
    return [
      presets,
      control("activation", "activation"),
      control("first weights", "weights"),
      control("pooling", "pooling"),
      control("normalisation", "normalisation"),
      control("optimiser", "optimiser"),
      control("schedule of the rate", "schedule"),
      control("pixels", "input"),
      numbers("learning rate", "rate", nextRate),
      numbers("pictures in a batch", "batch"),
      numbers("seed", "seed"),
    ];
  }

  draw() {
    if (this.state.field !== this.#traced) this.#trace();
    this.#show();
    this.#tell({ now: true });
  }

  /**
   * Draw soon: what changes in the meantime is drawn along. A part in each frame, so that the page
   * answers in between, on a phone too.
   */
  #drawSoon() {
    this.#changed = true;
    if (this.#waits) return;
    this.#waits = true;
    const pause = calm() ? PAUSES.drawCalmly : PAUSES.draw;
    setTimeout(() => {
      this.#drawn = performance.now();
      this.#changed = false;
      this.#drawFrom(0);
    }, Math.max(0, this.#drawn + pause - performance.now()));
  }

  /** @param {number} part Which is drawn in the next frame. */
  #drawFrom(part) {
    requestAnimationFrame(() => {
      this.#parts[part]();
      if (part + 1 < this.#parts.length) return this.#drawFrom(part + 1);
      this.#tell();
      this.#waits = false;
      if (this.#changed) this.#drawSoon();
    });
  }

  /** What is drawn, in parts that take as long as one another. */
  #parts = [
    () => this.#showRuns(),
    () => this.#drawCurves(),
    () => this.#inside.show(this.#shown, roundEnd(this.#shown?.step ?? 0)),
    () => this.#seen.show(this.#shown, this.state.field),
    () => this.#watched?.show(this.#shown?.probabilities),
  ];

  #show() {
    for (const part of this.#parts) part();
  }

  #showRuns() {
    const current = this.#current();
    say(this.#train, this.#running ? "Pause" : "Train");
    for (const button of [this.#train, this.#step]) {
      button.setAttribute("aria-disabled", String(this.#fetching));
    }
    this.#step.disabled = this.#running !== undefined;
    this.#again.disabled = !current || current.step === 0 || current.file !== undefined;
    this.#download.disabled = !this.#shown;
    this.#table.show(this.#runs, this.#shown);
  }

  #drawCurves() {
    const recorded = this.#recorded(this.#shown?.choices ?? this.#choices);
    const longest = Math.max(...this.#runs.map(({ step }) => step));
    const end = this.#runs.length
      ? roundEnd(longest)
      : recorded
      ? roundEnd(recorded.epoch * recorded.loss.length)
      : 1000;
    /** @type {Line[]} */
    const losses = this.#runs.map((run) => ({ ...look(run), ...run.losses }));
    const most = Math.max(2.5, ...losses.flatMap(({ values }) => values));
    const { high, ticks } = linear(0, most);
    const scale = { low: 0, high, ticks: ticks.filter(([value]) => value >= 0) };
    const behind = { recorded: true, name: "recorded" };
    if (recorded) {
      // The mean over an epoch belongs into its middle.
      const steps = recorded.loss.map((_, epoch) => (epoch + 0.5) * recorded.epoch);
      losses.unshift({ ...behind, steps, values: recorded.loss });
    }
    this.#loss.draw(losses, { end, scale, levels: [[GUESS, "log 10"]] });

    /** @type {Line[]} */
    const right = this.#runs.map((run) => {
      const { steps, values } = run.accuracy.line(0);
      return { ...look(run), steps, values: values.map((share) => 100 * share) };
    });
    if (recorded) {
      const steps = recorded.accuracy.map((_, epoch) => (epoch + 1) * recorded.epoch);
      right.unshift({ ...behind, steps, values: recorded.accuracy.map((share) => 100 * share) });
    }
    const ticksOfTen = [0, 20, 40, 60, 80, 100].map((
      n,
    ) => /** @type {[number, string]} */ ([n, `${n}`]));
    this.#accuracy.draw(right, {
      end,
      scale: { low: 0, high: 100, ticks: ticksOfTen },
      levels: [[10, "guessing"]],
    });
    label(this.#loss, losses);
    label(this.#accuracy, right);
    say(this.#about, aboutRecord(recorded));
  }

  /**
   * What was recorded of a recipe.
   * @param {Choices} choices
   * @returns {Recorded | undefined}
   */
  #recorded(choices) {
    return this.data.recorded?.find((/** @type {Recorded} */ it) =>
      sameRecipe(it.choices, choices)
    );
  }

  /**
   * Say in a sentence how it goes: to be read now and then, and to be heard less often.
   * @param {{now?: boolean}} options
   */
  #tell({ now = false } = {}) {
    const words = this.#words();
    const time = performance.now();
    const due = now || !this.#running;
    if (due || time - this.#read >= PAUSES.read) {
      this.#read = time;
      say(this.#sentence, words);
    }
    if (due || time - this.#heard >= PAUSES.hear) {
      this.#heard = time;
      say(this.#status, words);
    }
  }

  #words() {
    const size = `${(this.data.bytes / 1e6).toFixed(1)} MB`;
    const apart = this.hasAttribute("archive");
    if (this.#fetching) {
      return apart ? `Fetching ${size} of pictures …` : "Unpacking the pictures …";
    }
    const run = this.#shown;
    const current = this.#current();
    if (!run && !this.#worker && apart) {
      return `“Train” fetches ${size} of pictures, once. All is computed on your machine, and stays there.`;
    }
    if (run !== current && !this.#running) {
      return `“Train” begins a new run: ${inWords(this.#choices)}.`;
    }
    if (!run) return "";
    if (run.step === 0) return run.file ? `${run.name} is open. “Train” goes on with it.` : "";
    const right = Number.isFinite(run.right) ? `, ${percent(run.right)} right` : "";
    const speed = run === this.#running && run.speed > 0
      ? ` ${Math.round(run.speed).toLocaleString("en")} pictures a second.`
      : "";
    return `Step ${run.step}: loss ${inDigits(run.loss)}${right}. ${run.plateau}${speed}`.trim();
  }

  // --- What the reader does ----------------------------------------------------------------------

  /** @returns {Choices} */
  get #choices() {
    const { activation, weights, pooling, normalisation, optimiser } = this.state;
    const { schedule, input, rate, batch, seed } = this.state;
    return {
      ...{ activation, weights, pooling, normalisation, optimiser },
      ...{ schedule, input, rate, batch, seed },
    };
  }

  /** The run that has the present settings: that which is shown, if it is one of several. */
  #current() {
    const fits = (/** @type {Run | undefined} */ run) =>
      run && (run === this.#shown || !run.file) && sameRun(run.choices, this.#choices);
    return fits(this.#shown) ? this.#shown : this.#runs.find(fits);
  }

  #toggle() {
    if (this.#running) return this.stop();
    return this.#once("run");
  }

  /**
   * Let the run of the present settings go on, which begins if there is none.
   * @param {"run" | "step"} how
   */
  #once(how) {
    if (this.#starting || this.#running) return;
    this.#starting = true;
    return this.attempt(async () => {
      if (!this.#current()) this.#place(); // before anything is fetched
      await this.#ready();
      while (this.#working) await this.#work.done;
      if (!this.isConnected) return;
      const run = this.#current() ?? this.#begin(this.#place());
      this.#shown = run;
      if (how === "run") this.#running = run;
      this.#set(run, how);
      this.draw();
    }).finally(() => this.#starting = false);
  }

  /**
   * Set the worker to work, until it says that it has ended.
   * @param {Run} run
   * @param {"run" | "step"} how
   */
  #set({ id }, how) {
    this.#working = true;
    const done = new Promise((/** @type {(value: void) => void} */ resolve) => {
      this.#work.end = () => {
        this.#working = false;
        resolve();
      };
    });
    this.#work.done = done;
    this.#send({ type: how, id });
  }

  /** The first place that is free for a run. */
  #place() {
    const places = Array.from({ length: MOST_RUNS }, (_, place) => place);
    const free = places.find((place) => this.#runs.every((run) => run.place !== place));
    if (free !== undefined) return free;
    throw new RangeError(
      `The plots can tell ${MOST_RUNS} runs apart, and there are ${MOST_RUNS}. Remove one from the ` +
        "table, then press “Train” again.",
    );
  }

  /** @param {number} place */
  #begin(place) {
    const run = new Run(this.#nextId++, place, this.#choices);
    this.#add(run);
    this.#send({ type: "start", id: run.id, choices: run.choices });
    return run;
  }

  /** @param {Run} run */
  #add(run) {
    this.#runs.push(run);
    this.#runs.sort((a, b) => a.place - b.place);
    this.#shown = run;
  }

  #restart() {
    const run = this.#current();
    if (!run || run.file) return;
    this.stop();
    this.#drop(run);
    this.#begin(run.place);
    this.draw();
    this.#train.focus(); // the button itself has nothing left to do
  }

  /** @param {Run} run */
  #choose(run) {
    if (this.#running !== run) this.stop();
    this.#shown = run;
    this.change({ ...run.choices });
    this.#look();
    this.#trace();
  }

  /** @param {Run} run */
  #remove(run) {
    if (this.#running === run) this.stop();
    this.#drop(run);
    this.#trace();
    this.draw();
    this.#train.focus(); // that of the button is gone
  }

  /** @param {Run} run */
  #drop(run) {
    this.#runs = this.#runs.filter((other) => other !== run);
    if (this.#shown === run) this.#shown = this.#runs[0];
    this.#send({ type: "drop", id: run.id });
  }

  stop() {
    super.stop();
    if (!this.#running) return;
    this.#running = undefined;
    this.#send({ type: "pause" });
    this.draw();
  }

  reset() {
    this.stop();
    for (const run of this.#runs) this.#send({ type: "drop", id: run.id });
    this.#runs = [];
    this.#shown = undefined;
    super.reset();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#runs = [];
    this.#shown = undefined;
  }

  /** @param {File} file */
  async #open(file) {
    const content = await contentOf(file);
    const { rescaling: _, weights: __, ...decided } = readFile(content);
    this.#place();
    this.stop();
    await this.#ready();
    const choices = { ...this.#choices, ...decided };
    const run = new Run(this.#nextId++, this.#place(), choices, file.name);
    this.#add(run);
    this.#send({ type: "open", id: run.id, file: content, choices });
    this.change(choices);
  }

  /** Let the picture that is watched be classified by the run that is shown. */
  #look() {
    for (const run of this.#runs) run.probabilities = undefined; // they were those of another
    const picture = this.#watched?.place;
    this.#send({ type: "watch", picture, id: this.#shown?.id });
    this.#drawSoon();
  }

  /** Let it be told what an output of the layer chosen sees in the run that is shown. */
  #trace() {
    this.#traced = this.state.field;
    this.#send({ type: "field", layer: this.#traced, id: this.#shown?.id });
  }

  // --- The worker --------------------------------------------------------------------------------

  /** Start the worker and give it its pictures, the first time. */
  async #ready() {
    if (this.#worker) return;
    this.#fetching = true;
    this.draw();
    try {
      const { train, validation } = await this.#pictures();
      const worker = newWorker();
      worker.onmessage = ({ data }) => this.#hear(data);
      worker.onerror = (event) => this.#fail(event);
      this.#worker = worker;
      this.#send({ type: "data", train, validation }, [train.pictures.buffer, train.labels.buffer]);
      this.#watched?.use(validation);
      this.#trace();
    } finally {
      this.#fetching = false;
      this.draw();
    }
  }

  async #pictures() {
    try {
      const packed = await this.archive({ anew: this.#refused });
      return await unpackPictures(packed, this.data.class_names.length);
    } catch (error) {
      this.#refused = true;
      throw new Error(
        "The pictures did not arrive, or not as they were sent. Check your connection, and press " +
          "“Train” again.",
        { cause: error },
      );
    }
  }

  /** @param {ErrorEvent} event */
  #fail(event) {
    event.preventDefault();
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#running = undefined;
    this.#work.end();
    this.#runs = [];
    this.#shown = undefined;
    this.draw();
    this.attempt(() => {
      throw refusal(event.message);
    });
  }

  /**
   * @param {object} message
   * @param {Transferable[]} [transfer]
   */
  #send(message, transfer = []) {
    this.#worker?.postMessage(message, transfer);
  }

  /** @param {Told | Traced | Written | Paused | Failed} message */
  #hear(message) {
    const { id } = message;
    const run = this.#runs.find((it) => it.id === id);
    if (message.type === "progress") {
      const ended = run?.leftAt;
      run?.take(message);
      this.#drawSoon();
      if (run && run === this.#shown && run.leftAt !== ended) this.#tell({ now: true });
    } else if (message.type === "field") {
      run?.trace(message);
      this.#drawSoon();
    } else if (message.type === "file") {
      save(message.file, run);
    } else if (message.type === "paused") {
      this.#work.end();
      if (this.#running?.id === id) this.#running = undefined;
      if (run !== this.#shown) this.#trace(); // it was chosen while the other trained
      this.draw();
    } else {
      this.draw();
      this.attempt(() => {
        throw new Error(message.message);
      });
    }
  }
}

function newWorker() {
  try {
    return new Worker(new URL("./training-worker.js", import.meta.url), { type: "module" });
  } catch (error) {
    throw refusal(error instanceof Error ? error.message : "");
  }
}

/** @param {string} [reason] */
function refusal(reason) {
  return new Error(
    `The training cannot run in this browser${reason ? ` (${reason})` : ""}. Try the newest ` +
      "version of Firefox, Chrome or Safari.",
  );
}

// --- Words ---------------------------------------------------------------------------------------

/** @param {Recorded | undefined} recorded */
function aboutRecord(recorded) {
  const plateau = "The plateau counts as over when the loss on 300 training pictures, measured " +
    "every 40 steps, is one per cent below log 10.";
  if (!recorded) return plateau;
  return `${plateau} Recorded: the mean of five runs by this recipe, on 50,000 pictures in ` +
    `batches of ${recorded.choices.batch}.`;
}

/**
 * Say what a plot shows: where its lines begin and end.
 * @param {Plot} plot
 * @param {Line[]} lines
 */
function label({ title, element }, lines) {
  const parts = lines.filter(({ values }) => values.length).map(
    ({ name, steps, values, recorded }) => {
      const [first, last] = [values[0], values[values.length - 1]].map((value) => value.toFixed(2));
      const who = recorded ? "recorded" : `run ${name}`;
      return `${who} from ${first} to ${last} at step ${Math.round(steps[steps.length - 1])}`;
    },
  );
  element.setAttribute("aria-label", `${title}: ${parts.join("; ") || "nothing yet"}.`);
}

/**
 * The rate of the buttons that follows.
 * @param {number} rate
 * @param {number} by
 */
function nextRate(rate, by) {
  const next = by > 0
    ? RATES.find((other) => other > rate)
    : RATES.findLast((other) => other < rate);
  return next ?? rate;
}

/**
 * Give a network to the reader as a file.
 * @param {object} file
 * @param {Run | undefined} run
 */
function save(file, run) {
  const address = URL.createObjectURL(
    new Blob([JSON.stringify(file)], { type: "application/json" }),
  );
  const name = `lenet-${(run?.place ?? 0) + 1}-step-${run?.step ?? 0}.json`;
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // some browsers begin late
}

define("cnn-training", Training);
