/** The pictures to train on, as they come from Python: packed, counted, and checked here. */

import { SIDE } from "./network.js";

/** @typedef {{pictures: Uint8Array<ArrayBuffer>, labels: Uint8Array<ArrayBuffer>}} Part */
/** @typedef {{train: Part, validation: Part}} Pictures */

const PIXELS = SIDE * SIDE;

/**
 * Unpack an archive: a line of JSON that counts the pictures of each part, then for each part the
 * pixels of all pictures and their labels, one byte each.
 * @param {ArrayBuffer} packed By gzip, whose checksum the browser compares.
 * @param {number} classes
 * @returns {Promise<Pictures>}
 */
export async function unpackPictures(packed, classes) {
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(plain).arrayBuffer());
  const head = bytes.indexOf(10); // the end of the line
  const counts = JSON.parse(new TextDecoder().decode(bytes.subarray(0, Math.max(head, 0))));
  let at = head + 1;
  const part = (/** @type {"train" | "validation"} */ name) => {
    const pictures = bytes.slice(at, at += counts[name] * PIXELS);
    const labels = bytes.slice(at, at += counts[name]);
    if (labels.some((label) => label >= classes)) throw new RangeError(`a label of ${name}`);
    return { pictures, labels };
  };
  const found = { train: part("train"), validation: part("validation") };
  if (at !== bytes.length) throw new RangeError(`${bytes.length} bytes in place of ${at}`);
  return found;
}
