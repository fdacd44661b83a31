/** Arrays as Python packs them for JSON: a dtype, a shape, and the bytes in base64. */

import { tensor } from "./arithmetic.js";

/** @typedef {import("./arithmetic.js").Tensor} Tensor */
/** @typedef {{dtype: string, shape: number[], base64: string}} Packed */

/**
 * The bytes that a text spells in base64.
 * @param {string} base64
 */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/**
 * The array that Python has packed; 8-bit numbers become numbers from 0 to 1.
 * @param {Packed} packed
 * @returns {Tensor}
 */
export function unpack({ dtype, shape, base64 }) {
  const bytes = bytesOf(base64);
  if (dtype === "float32") return tensor(shape, new Float32Array(bytes.buffer));
  if (dtype === "uint8") return tensor(shape, Float64Array.from(bytes, (byte) => byte / 255));
  throw new TypeError(`Expected an array of float32 or uint8. Received: ${dtype}.`);
}

/**
 * Numbers of 32 bits for a file that Python reads.
 * @param {number[]} shape
 * @param {ArrayLike<number>} values
 * @returns {Packed}
 */
export function pack(shape, values) {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return { dtype: "float32", shape, base64: btoa(letters) };
}
