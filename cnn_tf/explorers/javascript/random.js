/** Random numbers that are the same on every machine: xoshiro128** by Blackman and Vigna (2021). */

export class Random {
  #state;

  /**
   * @param {number} seed An integer.
   * @param {number} stream Another one: one seed gives a sequence for each.
   */
  constructor(seed, stream) {
    // SplitMix, so that near seeds give sequences that have nothing in common.
    let z = Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca77);
    this.#state = Uint32Array.from({ length: 4 }, () => {
      z = (z + 0x9e3779b9) | 0;
      let x = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
      return x ^ (x >>> 16);
    });
  }

  /** An integer from 0 to 2 ** 32 - 1. */
  #next() {
    const s = this.#state;
    const result = Math.imul(rotated(Math.imul(s[1], 5), 7), 9) >>> 0;
    const shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotated(s[3], 11);
    return result;
  }

  /**
   * A number between -limit and limit.
   * @param {number} limit
   */
  uniform(limit) {
    return limit * ((this.#next() + 0.5) / 2 ** 31 - 1);
  }

  /**
   * The integers from 0 to n - 1 in random order.
   * @param {number} n
   */
  permutation(n) {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(this.#next() / 2 ** 32 * (i + 1));
      const kept = order[i];
      order[i] = order[j];
      order[j] = kept;
    }
    return order;
  }
}

/**
 * @param {number} x
 * @param {number} bits
 */
function rotated(x, bits) {
  return (x << bits) | (x >>> (32 - bits));
}
