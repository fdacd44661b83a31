/**
 * The product of two matrices, in which nearly all of a training's time goes: in WebAssembly, where
 * the browser lets us, and otherwise in JavaScript.
 */

import { assemble } from "./simd.js";

/**
 * C += A B, all of them row by row. A is (m, k), or, where it is `transposed`, (k, m); B is (k, n),
 * and C is (m, n), where n is even.
 * @typedef {(m: number, n: number, k: number, A: Float32Array, B: Float32Array, C: Float32Array,
 *   transposed?: boolean) => void} Multiply
 */

/**
 * Where arrays of numbers lie, and how they are multiplied.
 * @typedef {object} Space
 * @property {(count: number) => Float32Array} floats An array of zeros.
 * @property {Multiply} multiply
 */

/**
 * What is built of arrays that are multiplied with one another. WebAssembly multiplies only what
 * lies in one memory, of a size known before: so it is built once to count, and then to stay.
 * @template T
 * @param {(space: Space) => T} build
 * @param {{plain?: boolean}} options `plain`: without WebAssembly.
 * @returns {T}
 */
export function inOneSpace(build, { plain = false } = {}) {
  const module = plain ? undefined : compiled();
  if (!module) return build({ floats: (count) => new Float32Array(count), multiply });
  let total = 0;
  const floats = (/** @type {number} */ count) => {
    total += aligned(count);
    return new Float32Array(0);
  };
  build({ floats, multiply });
  return build(spaceOf(module, total));
}

/** @type {WebAssembly.Module | undefined | null} Null before the first attempt. */
let known = null;

/** The module, undefined where the browser or the page's policy refuses it. */
function compiled() {
  if (known === null) {
    try {
      known = new WebAssembly.Module(assemble());
    } catch {
      known = undefined;
    }
  }
  return known;
}

const PAGE = 65536; // bytes

/** @param {number} count A vector of four never lies across two lines of the cache. */
function aligned(count) {
  return Math.ceil(count / 4) * 4;
}

/**
 * @param {WebAssembly.Module} module
 * @param {number} total How many numbers there will be.
 * @returns {Space}
 */
function spaceOf(module, total) {
  const spare = 32; // bytes, which simd.js may read behind the last array
  const memory = new WebAssembly.Memory({ initial: Math.ceil((4 * total + spare) / PAGE) });
  const { exports } = new WebAssembly.Instance(module, { numbers: { memory } });
  const run = /** @type {(...sizes: number[]) => void} */ (exports.multiply);
  let used = 0;
  return {
    floats(count) {
      const array = new Float32Array(memory.buffer, 4 * used, count);
      used += aligned(count);
      return array;
    },
    multiply(m, n, k, A, B, C, transposed = false) {
      const [row, column] = transposed ? [4, 4 * m] : [4 * k, 4];
      run(m, n, k, A.byteOffset, row, column, B.byteOffset, C.byteOffset);
    },
  };
}

/**
 * In JavaScript: blocks of two rows and four columns, whose eight sums stay in registers. They are
 * sums of 64 bits, which are faster here than rounding each to 32.
 * @type {Multiply}
 */
export function multiply(m, n, k, A, B, C, transposed = false) {
  const [row, column] = transposed ? [1, m] : [k, 1];
  const [rows, columns] = [m - m % 2, n - n % 4];
  for (let j = 0; j < columns; j += 4) {
    for (let i = 0; i < rows; i += 2) {
      const c = i * n + j;
      const d = c + n;
      let c0 = C[c], c1 = C[c + 1], c2 = C[c + 2], c3 = C[c + 3];
      let d0 = C[d], d1 = C[d + 1], d2 = C[d + 2], d3 = C[d + 3];
      for (let p = 0, a = i * row, b = j; p < k; p++, a += column, b += n) {
        const x = A[a], y = A[a + row];
        const b0 = B[b], b1 = B[b + 1], b2 = B[b + 2], b3 = B[b + 3];
        c0 += x * b0;
        c1 += x * b1;
        c2 += x * b2;
        c3 += x * b3;
        d0 += y * b0;
        d1 += y * b1;
        d2 += y * b2;
        d3 += y * b3;
      }
      C[c] = c0;
      C[c + 1] = c1;
      C[c + 2] = c2;
      C[c + 3] = c3;
      C[d] = d0;
      C[d + 1] = d1;
      C[d + 2] = d2;
      C[d + 3] = d3;
    }
  }
  for (let i = 0; i < m; i++) {
    for (let j = i < rows ? columns : 0; j < n; j++) {
      let sum = C[i * n + j];
      for (let p = 0; p < k; p++) sum += A[i * row + p * column] * B[p * n + j];
      C[i * n + j] = sum;
    }
  }
}
