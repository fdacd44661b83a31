/** The optimisers of the book's recipes, by Keras's formulas, and how the learning rate falls. */

/** @typedef {import("./gradients.js").Parameter} Parameter */

/**
 * What an optimiser remembers is in the order of the weights, which are the same in each step.
 * @typedef {{step: (parameters: Parameter[], rate: number) => void}} Optimiser
 */

/** Stochastic gradient descent. @implements {Optimiser} */
class SGD {
  /**
   * @param {Parameter[]} parameters
   * @param {number} rate
   */
  step(parameters, rate) {
    for (const { value, gradient } of learned(parameters)) {
      for (let i = 0; i < value.length; i++) value[i] -= rate * gradient[i];
    }
  }
}

/** The same with momentum: v ← 0.9 v − rate · g, w ← w + v. @implements {Optimiser} */
class Momentum {
  /** @type {Float32Array[]} */
  #velocities = [];

  /**
   * @param {Parameter[]} parameters
   * @param {number} rate
   */
  step(parameters, rate) {
    learned(parameters).forEach(({ value, gradient }, at) => {
      const v = this.#velocities[at] ??= new Float32Array(value.length);
      for (let i = 0; i < value.length; i++) {
        v[i] = 0.9 * v[i] - rate * gradient[i];
        value[i] += v[i];
      }
    });
  }
}

/** Kingma and Ba (2015), *Adam*. @implements {Optimiser} */
class Adam {
  /** @type {{m: Float32Array, v: Float32Array}[]} */
  #moments = [];

  #steps = 0;

  /**
   * @param {Parameter[]} parameters
   * @param {number} rate
   */
  step(parameters, rate) {
    const t = ++this.#steps;
    const alpha = rate * Math.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t);
    learned(parameters).forEach(({ value, gradient }, at) => {
      const { m, v } = this.#moments[at] ??= {
        m: new Float32Array(value.length),
        v: new Float32Array(value.length),
      };
      for (let i = 0; i < value.length; i++) {
        m[i] += (gradient[i] - m[i]) * (1 - 0.9);
        v[i] += (gradient[i] * gradient[i] - v[i]) * (1 - 0.999);
        value[i] -= alpha * m[i] / (Math.sqrt(v[i]) + 1e-7);
      }
    });
  }
}

/** @type {{[name: string]: new () => Optimiser}} */
export const OPTIMISERS = { sgd: SGD, momentum: Momentum, adam: Adam };

/** The steps of a recipe of ten epochs, on 50,000 pictures in minibatches of 128. */
const STEPS = 3910;

/**
 * By what the learning rate is multiplied in a step, counted from 0.
 * @type {{[name: string]: (step: number) => number}}
 */
export const SCHEDULES = {
  constant: () => 1,
  cosine: (step) => (1 + Math.cos(Math.PI * Math.min(step / STEPS, 1))) / 2,
};

/**
 * The weights that have a gradient.
 * @param {Parameter[]} parameters
 */
function learned(parameters) {
  return /** @type {Required<Parameter>[]} */ (parameters.filter(({ gradient }) => gradient));
}
