/**
 * What the explorer of training can be set to, each word with what the reader sees of it; and the
 * rungs of the ladder, as what they change of the classic recipe, with one in small batches, as the
 * page has it; and the layers of which it can be seen how their outputs depend on the pixels.
 * The text is JSON, because Python reads it too.
 *
 * @type {{
 *   words: {[choice: string]: {[word: string]: string}},
 *   classic: Choices,
 *   presets: {[name: string]: Partial<Choices>},
 *   fields: string[],
 * }}
 */
export const CHOICES = JSON.parse(`{
  "words": {
    "activation": {
      "sigmoid": "sigmoid",
      "centred_sigmoid": "centred sigmoid",
      "tanh": "tanh",
      "relu": "ReLU"
    },
    "weights": { "glorot": "Glorot", "times_four": "Glorot × 4", "he": "He" },
    "pooling": { "avg": "mean", "max": "maximum" },
    "normalisation": { "none": "none", "batch": "batch" },
    "optimiser": { "sgd": "SGD", "momentum": "SGD, momentum", "adam": "Adam" },
    "schedule": { "constant": "constant", "cosine": "cosine" },
    "input": { "plain": "from 0 to 1", "standardised": "standardised" }
  },
  "classic": {
    "activation": "sigmoid",
    "weights": "glorot",
    "pooling": "avg",
    "normalisation": "none",
    "optimiser": "sgd",
    "schedule": "constant",
    "input": "plain",
    "rate": 0.1,
    "batch": 128
  },
  "presets": {
    "classic": {},
    "classic, batch 32": { "batch": 32 },
    "rate 0.3": { "rate": 0.3 },
    "rate 0.5": { "rate": 0.5 },
    "rate 0.9": { "rate": 0.9 },
    "momentum": { "optimiser": "momentum" },
    "Adam": { "optimiser": "adam", "rate": 0.001 },
    "cosine": { "schedule": "cosine" },
    "standardised": { "input": "standardised" },
    "weights × 4": { "weights": "times_four" },
    "centred sigmoid": { "activation": "centred_sigmoid" },
    "tanh": { "activation": "tanh" },
    "ReLU": { "activation": "relu" },
    "max pooling": { "pooling": "max" },
    "batch norm": { "normalisation": "batch" },
    "ReLU, max": { "activation": "relu", "pooling": "max" },
    "ReLU, He": { "activation": "relu", "weights": "he" },
    "ReLU, He, max": { "activation": "relu", "weights": "he", "pooling": "max" },
    "ReLU, He, max, norm": {
      "activation": "relu",
      "weights": "he",
      "pooling": "max",
      "normalisation": "batch"
    },
    "ReLU, He, max, norm, Adam": {
      "activation": "relu",
      "weights": "he",
      "pooling": "max",
      "normalisation": "batch",
      "optimiser": "adam",
      "rate": 0.001
    },
    "ReLU, He, max, norm, Adam, cosine": {
      "activation": "relu",
      "weights": "he",
      "pooling": "max",
      "normalisation": "batch",
      "optimiser": "adam",
      "rate": 0.001,
      "schedule": "cosine"
    }
  },
  "fields": ["conv1", "pool1", "conv2", "pool2"]
}`);

/**
 * @typedef {object} Choices
 * @property {string} activation
 * @property {string} weights The rule by which the first ones are drawn.
 * @property {string} pooling
 * @property {string} normalisation
 * @property {string} optimiser
 * @property {string} schedule Of the learning rate.
 * @property {string} input What is done to the pixels.
 * @property {number} rate
 * @property {number} batch
 * @property {number} [seed]
 */

/**
 * Words that need others where nothing says what they are a choice of.
 * @type {{[word: string]: string}}
 */
const SPOKEN = { "pooling max": "max pooling", "normalisation batch": "batch norm" };

const WORDS = /** @type {(keyof Choices)[]} */ (Object.keys(CHOICES.words));

const PRESETS = Object.keys(CHOICES.presets);

/**
 * Whether two training runs are by one recipe, but for the size of the batch and the seed.
 * @param {Choices} one
 * @param {Choices} other
 */
export function sameRecipe(one, other) {
  return one.rate === other.rate && WORDS.every((key) => one[key] === other[key]);
}

/**
 * Whether two training runs are the same, step by step.
 * @param {Choices} one
 * @param {Choices} other
 */
export function sameRun(one, other) {
  return sameRecipe(one, other) && one.batch === other.batch && one.seed === other.seed;
}

/**
 * The settings of a preset.
 * @param {string} name
 * @returns {Choices}
 */
export function preset(name) {
  return { ...CHOICES.classic, ...CHOICES.presets[name] };
}

/**
 * The name of the preset that has this recipe, if one has.
 * @param {Choices} choices
 */
function rung(choices) {
  return PRESETS.find((name) => sameRecipe(preset(name), choices));
}

/**
 * The name of the preset that has these settings, if one has. The seed is the reader's.
 * @param {Choices} choices
 */
export function presetOf(choices) {
  return PRESETS.find((name) => {
    const made = preset(name);
    return sameRecipe(made, choices) && made.batch === choices.batch;
  });
}

/**
 * A training in a few words: its preset, or else what differs from the classic recipe.
 * @param {Choices} choices
 */
export function inWords(choices) {
  const { classic, words } = CHOICES;
  const changed = WORDS.filter((key) => choices[key] !== classic[key])
    .map((key) => SPOKEN[`${key} ${choices[key]}`] ?? words[key][String(choices[key])]);
  if (choices.rate !== classic.rate) changed.push(`rate ${choices.rate}`);
  const parts = [rung(choices) ?? changed.join(", ")];
  if (choices.batch !== classic.batch) parts.push(`batch ${choices.batch}`);
  if (choices.seed) parts.push(`seed ${choices.seed}`);
  return parts.join(", ");
}
