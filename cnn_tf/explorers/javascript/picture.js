/** Pictures: from a file or the camera of the reader, and onto a canvas. */

import { tensor } from "./arithmetic.js";
import { make } from "./element.js";

/** @typedef {import("./arithmetic.js").Tensor} Tensor */

/**
 * A canvas for pictures.
 * @param {string} label What is to be seen, for those who do not see it.
 * @param {number} side Its width on the page in CSS pixels, where there is room.
 * @returns {HTMLCanvasElement}
 */
export function canvas(label, side) {
  return make("canvas", { role: "img", "aria-label": label, style: `width: ${side}px` });
}

/**
 * A drawing over a canvas, in units of the canvas's pixels: its `viewBox` is that of the picture.
 * @param {HTMLCanvasElement} under
 * @returns {{element: HTMLElement, drawing: SVGSVGElement}}
 */
export function overlay(under) {
  const drawing = make("svg", { "aria-hidden": "true" });
  return { element: make("div", { class: "pixels" }, under, drawing), drawing };
}

/**
 * A frame around pixels, to be seen on dark and on bright ones: a dark line on a bright one.
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @param {{chosen?: boolean}} options
 * @returns {SVGGElement}
 */
export function frame(left, top, width, height, { chosen = false } = {}) {
  const place = { x: left, y: top, width, height };
  const kind = chosen ? { class: "chosen" } : {};
  return make("g", kind, make("rect", { ...place, class: "bright" }), make("rect", place));
}

/**
 * Paint numbers, one pixel each. Grey: 0 is black and 1 is white. Signed: positive is blue, negative
 * is orange, and zero is the page itself, as in all drawings.
 * @param {HTMLCanvasElement} onto
 * @param {Tensor} picture (h, w) or (h, w, 1)
 * @param {{signed?: boolean, limit?: number}} options `limit` is the number in full colour.
 */
export function paint(onto, { shape: [h, w], data }, { signed = false, limit = 1 } = {}) {
  if (onto.width !== w || onto.height !== h) [onto.width, onto.height] = [w, h];
  const image = new ImageData(w, h);
  const pixels = image.data;
  for (let i = 0, at = 0; i < h * w; i++, at += 4) {
    const value = data[i] / limit;
    if (!signed) {
      pixels[at] = pixels[at + 1] = pixels[at + 2] = 255 * value; // out of range: cut off
      pixels[at + 3] = 255;
    } else {
      const [r, g, b] = value >= 0 ? [43, 131, 186] : [217, 115, 13];
      pixels[at] = r;
      pixels[at + 1] = g;
      pixels[at + 2] = b;
      pixels[at + 3] = 255 * Math.abs(value);
    }
  }
  onto.getContext("2d")?.putImageData(image, 0, 0);
}

/**
 * The largest of the numbers' sizes.
 * @param {Tensor} picture
 */
export function largest({ data }) {
  let most = 0;
  for (const value of data) most = Math.max(most, Math.abs(value));
  return most;
}

/**
 * The grey square in the middle of an image, scaled to side x side.
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 * @param {number} side
 * @returns {Tensor}
 */
export function grey(image, width, height, side) {
  const small = document.createElement("canvas");
  small.width = small.height = side;
  const context = small.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser has no canvas.");
  const cut = Math.min(width, height);
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, side, side);
  context.drawImage(image, (width - cut) / 2, (height - cut) / 2, cut, cut, 0, 0, side, side);
  const { data } = context.getImageData(0, 0, side, side);
  const values = new Float64Array(side * side);
  for (let i = 0; i < values.length; i++) {
    // The weights of ITU-R BT.709, as scikit-image's rgb2gray has them.
    values[i] = (0.2125 * data[4 * i] + 0.7154 * data[4 * i + 1] + 0.0721 * data[4 * i + 2]) / 255;
  }
  return tensor([side, side, 1], values);
}

/**
 * A picture from a file of the reader's own. It stays on this machine.
 * @param {File} file
 * @param {number} side
 * @returns {Promise<Tensor>}
 */
export async function fromFile(file, side) {
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    throw new TypeError(
      `“${file.name}” is no picture that this browser can read: try PNG or JPEG.`,
    );
  }
  const picture = grey(image, image.width, image.height, side);
  image.close(); // a photograph takes tens of megabytes
  return picture;
}

/** What to do where the camera does not start, by the name of the browser's error. */
const REASONS = {
  NotAllowedError: "The camera is not allowed: allow it for this page, or choose a picture.",
  NotFoundError: "No camera was found: connect one, or choose a picture.",
  NotReadableError: "The camera does not start: close other programs that use it, and try again.",
};

/** The reader's camera. Its pictures stay on this machine. */
export class Camera {
  #video = document.createElement("video");

  /** @type {MediaStream | undefined} */
  #stream = undefined;

  #wanted = false;

  /** Ask for the camera, and start it, unless `stop` is called before the reader has answered. */
  async start() {
    this.#wanted = true;
    try {
      if (!navigator.mediaDevices) {
        throw new Error("Only pages at https:// get a camera: choose a picture instead.");
      }
      const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320 } });
      this.#stream = stream;
      if (!this.#wanted) return this.stop();
      for (const track of stream.getTracks()) track.onended = () => this.stop(); // unplugged
      this.#video.srcObject = stream;
      this.#video.muted = true;
      this.#video.playsInline = true;
      await this.#video.play();
    } catch (error) {
      if (!this.#wanted) return;
      this.stop(); // its light must not stay on
      const { name } = /** @type {Error} */ (error);
      const reason = REASONS[/** @type {keyof typeof REASONS} */ (name)];
      throw reason ? new Error(reason) : error;
    }
  }

  /**
   * What it sees now.
   * @param {number} side
   */
  picture(side) {
    return grey(this.#video, this.#video.videoWidth, this.#video.videoHeight, side);
  }

  get running() {
    return this.#stream !== undefined;
  }

  stop() {
    this.#wanted = false;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    this.#video.srcObject = null;
  }
}
