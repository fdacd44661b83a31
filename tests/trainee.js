/**
 * Does with the trainees of the explorer "training" what tests/test_trainee.py asks for, and prints
 * what came of it: both as JSON, arrays of 32-bit floats and bytes in base64.
 */

import { inOneSpace, multiply } from "../cnn_tf/explorers/javascript/multiply.js";
import { forward, network } from "../cnn_tf/explorers/javascript/network.js";
import { SCHEDULES } from "../cnn_tf/explorers/javascript/optimizers.js";
import { bytesOf } from "../cnn_tf/explorers/javascript/packed.js";
import { Random } from "../cnn_tf/explorers/javascript/random.js";
import { Trainee } from "../cnn_tf/explorers/javascript/trainee.js";

const asked = JSON.parse(await Deno.readTextFile(Deno.args[0]));

const part = ({ pictures, labels }) => ({
  pictures: bytesOf(pictures),
  labels: Uint8Array.from(labels),
});
const data = { train: part(asked.train), validation: part(asked.validation) };

const floats = (text) => new Float32Array(bytesOf(text).buffer);
const packed = (array) => {
  const bytes = new Uint8Array(Float32Array.from(array).buffer);
  return bytes.reduce((text, byte) => text + String.fromCharCode(byte), "");
};
const base64 = (array) => btoa(packed(array));

/** @param {any} weights */
function unpacked(weights) {
  return Object.fromEntries(Object.entries(weights).map(([name, text]) => [name, floats(text)]));
}

function trainee({ choices, weights, plain, few }) {
  const { pictures, labels } = data.train;
  const train = { pictures: pictures.subarray(0, 784 * few), labels: labels.subarray(0, few) };
  const made = new Trainee(choices, few ? { ...data, train } : data, { plain });
  if (weights) made.setWeights(unpacked(weights));
  return made;
}

const all = (parameters, what) =>
  Object.fromEntries(
    parameters.filter((it) => it[what]).map((it) => [it.name, base64(it[what])]),
  );

const message = (action) => {
  try {
    action();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
  return "no error";
};

const actions = {
  gradients(it) {
    const made = trainee(it);
    const batch = [...made.minibatch()];
    const { loss } = made.step();
    return { batch, loss, gradients: all(made.parameters, "gradient") };
  },
  /** All that can be seen without a step, and the weights after it. */
  seen(it) {
    const made = trainee(it);
    const evaluated = made.evaluate(0, data.validation.labels.length);
    const measured = made.measure();
    const probabilities = [...made.classify(1)];
    made.rest();
    const picture = data.validation.pictures.subarray(784, 2 * 784);
    const again = [...made.classify(Float32Array.from(picture, (pixel) => pixel / 255))];
    return { evaluated, measured, probabilities, again, after: all(made.parameters, "value") };
  },
  /** What an output of each layer sees, the last one twice, with a rest between. */
  fields(it) {
    const made = trainee(it);
    const fields = it.layers.map((layer) => {
      const { field, ...where } = made.field(layer);
      return { ...where, field: base64(field) };
    });
    made.rest();
    const again = base64(made.field(it.layers.at(-1)).field);
    return { fields, again, after: all(made.parameters, "value") };
  },
  losses(it) {
    const made = trainee(it);
    made.steps = it.from ?? 0;
    const steps = Array.from({ length: it.steps }, () => {
      const batch = [...made.minibatch()];
      if (it.interrupted) {
        made.measure();
        made.evaluate(0, 5);
        made.field("pool1");
        made.rest();
      }
      return { batch, loss: made.step().loss };
    });
    return { steps, weights: all(made.parameters, "value") };
  },
  weights(it) {
    return all(trainee(it).parameters, "value");
  },
  kernels(it) {
    const made = trainee(it);
    const kernels = made.kernels();
    kernels.fill(7); // a copy
    return base64(made.kernels());
  },
  file(it) {
    const made = trainee(it);
    for (let step = 0; step < it.steps; step++) made.step();
    const file = made.file();
    const layers = network(file, 10);
    const picture = data.validation.pictures.subarray(0, 784);
    const X = { shape: [28, 28, 1], data: Float64Array.from(picture, (pixel) => pixel / 255) };
    const opened = Trainee.open(file, { ...it.choices, activation: "relu" }, data);
    return {
      file,
      logits: [...forward(layers, X).at(-1).result.data],
      probabilities: [...made.classify(0)],
      choices: opened.choices,
      opened: opened.evaluate(0, data.validation.labels.length),
      evaluated: made.evaluate(0, data.validation.labels.length),
    };
  },
  open({ file, choices }) {
    const made = Trainee.open(file, choices, data);
    return {
      choices: made.choices,
      evaluated: made.evaluate(0, data.validation.labels.length),
      loss: made.step().loss,
    };
  },
  opening: ({ file }) => message(() => Trainee.open(file, {}, data)),
  choosing: ({ choices }) => message(() => new Trainee(choices, data)),
  giving: (given) => message(() => new Trainee({}, { ...data, ...given })),
  tracing: ({ layer }) => message(() => new Trainee({}, data).field(layer)),
  setting: ({ weights }) => message(() => new Trainee({}, data).setWeights(weights)),
  lost(it) {
    const made = trainee(it);
    let last = all(made.parameters, "value");
    for (let step = 0; step < 20; step++) {
      const { loss } = made.step();
      const now = all(made.parameters, "value");
      if (Number.isNaN(loss)) return { step, same: JSON.stringify(now) === JSON.stringify(last) };
      last = now;
    }
    return {};
  },
  schedule: ({ name, steps }) => steps.map(SCHEDULES[name]),
  permutation: ({ seed, stream, n }) => [...new Random(seed, stream).permutation(n)],
  product({ m, n, k, A, B, C, transposed, plain }) {
    const space = inOneSpace((it) => ({
      it,
      arrays: [A, B, C].map((text) => it.floats(floats(text).length)),
    }), { plain });
    const used = space.it.multiply !== multiply;
    [A, B, C].forEach((text, i) => space.arrays[i].set(floats(text)));
    space.it.multiply(m, n, k, ...space.arrays, transposed);
    return { used, result: base64(space.arrays[2]) };
  },
};

console.log(JSON.stringify(asked.cases.map(({ action, ...it }) => actions[action](it))));
