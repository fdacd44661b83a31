/** What the page about LeNet measures of the outputs of a layer, slice by slice. */

/** @typedef {import("./gradients.js").Activation} Activation */

export class Look {
  #pictures = 0;

  #slopes = 0;

  /** @param {number} units */
  constructor(units) {
    this.sums = new Float64Array(units);
    this.squares = new Float64Array(units);
    this.slopes = new Float32Array(units);
  }

  /**
   * @param {Float32Array} y
   * @param {Activation | undefined} activation
   */
  add(y, activation) {
    const { sums, squares } = this;
    const units = sums.length;
    for (let at = 0; at < y.length; at += units) {
      for (let i = 0; i < units; i++) {
        sums[i] += y[at + i];
        squares[i] += y[at + i] * y[at + i];
      }
      this.#pictures++;
      if (!activation) continue;
      activation.multiplySlope(this.slopes.fill(1), y.subarray(at, at + units));
      this.#slopes += this.slopes.reduce((sum, slope) => sum + slope, 0) / units;
    }
  }

  variation() {
    let total = 0;
    const n = this.#pictures;
    this.sums.forEach((sum, i) => {
      total += Math.sqrt(Math.max(0, this.squares[i] / n - (sum / n) ** 2));
    });
    return total / this.sums.length;
  }

  slope() {
    return this.#slopes / this.#pictures;
  }
}

/** @param {Float32Array} values */
export function sumOfSquares(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return sum;
}
