/** Numbers as readers write them, and as they are written for readers. */

/** @typedef {{least: number, most: number, integer?: boolean}} Limits */

/** How many digits a number may have to be shown as it is; longer ones are rounded. */
const DIGITS = 8;

/**
 * The number that a text spells, with a decimal point or a comma and any sign for minus, perhaps as
 * a fraction; or NaN.
 * @param {string} text
 */
export function spelled(text) {
  const [over, under = 1, ...more] = text.replace(/[−–]/g, "-").split("/").map((part) => {
    const plain = part.trim().replace(",", ".");
    return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
  });
  return more.length > 0 ? NaN : over / under;
}

/**
 * Why an entry is refused: what would be accepted instead. Of what is accepted, nothing.
 * @param {number} value
 * @param {Limits} limits
 */
function refusal(value, { least, most, integer = false }) {
  const range = `${format(least)} to ${format(most)}`;
  if (Number.isNaN(value)) return `a number, ${range}`;
  if (value < least || value > most) return range;
  return integer && !Number.isInteger(value) ? `a whole number, ${range}` : "";
}

/**
 * Without the noise that sums of binary fractions leave in the last digits.
 * @param {number} value
 */
function clean(value) {
  return Number.isSafeInteger(value) ? value : +value.toPrecision(12);
}

/**
 * With signs as they are printed.
 * @param {number} value
 */
function printed(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "none" : value < 0 ? "−∞" : "∞";
  return String(value).replace("e+", "e").replaceAll("-", "−");
}

/**
 * What is shown of a number: all of it if it is short, or else four digits, or all before the point.
 * @param {number} value
 */
function shown(value) {
  const whole = clean(value);
  if (Number.isSafeInteger(whole) || !Number.isFinite(whole)) return whole;
  const digits = Math.abs(whole).toExponential().replace(/e.*|\./g, "").length;
  if (digits <= DIGITS) return whole;
  const before = Math.floor(Math.log10(Math.abs(whole))) + 1;
  return +whole.toPrecision(Math.min(Math.max(before, 4), 12));
}

/**
 * A number for a reader, short.
 * @param {number} value
 */
export function format(value) {
  return printed(shown(value));
}

/**
 * A number of any size, short.
 * @param {number} value
 */
export function any(value) {
  if (!(Math.abs(value) >= 1e5)) return format(value);
  return value.toExponential(2).replace(/\.?0*e\+/, "e").replace("-", "−");
}

/**
 * A factor in a sum: a negative one in brackets.
 * @param {number} value
 */
export function factor(value) {
  return value < 0 ? `(${format(value)})` : format(value);
}

/**
 * The sign between what is written with these numbers and its result: an equals sign only if none
 * of them is rounded.
 * @param {(value: number) => number} round
 * @param {...number} values
 */
function equals(round, ...values) {
  return values.every((value) => shown(round(value)) === clean(value)) ? "=" : "≈";
}

/**
 * Numbers, and their sum.
 * @param {number[]} parts
 * @param {number} total
 */
export function added(parts, total) {
  return `${parts.map(factor).join(" + ")} ${equals(shown, total, ...parts)} ${format(total)}`;
}

/**
 * With so many digits behind the point.
 * @param {number} value
 * @param {number} digits
 */
export function rounded(value, digits) {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

/**
 * Products, their sum, and its value.
 * @param {number[][]} products The two factors of each.
 * @param {number} total
 * @param {(value: number) => number} round How the numbers are to be rounded.
 */
export function sum(products, total, round = shown) {
  const terms = products.map(([x, k]) => `${factor(round(x))}·${factor(round(k))}`).join(" + ");
  return `${terms} ${equals(round, total, ...products.flat())} ${format(round(total))}`;
}

// --- Entries -------------------------------------------------------------------------------------

/**
 * What an entry works on.
 * @typedef {object} Target
 * @property {() => Limits} limits
 * @property {() => number} get
 * @property {(value: number) => void} set
 * @property {() => void} begin The reader begins to type: remember what holds now.
 * @property {() => void} undo Bring that back.
 * @property {(reason: string) => void} tell Say why an entry is refused; with "" it no longer is.
 */

/**
 * Numbers typed into an input. Each is taken at once. If it grows into one that is refused, what held
 * before comes back, and the text stays, with the reason beside it, until it is mended, the Escape
 * key is pressed, or the number changes otherwise.
 */
export class Entry {
  /** Whether a number was taken since the reader began to type. */
  #taken = false;

  /** The number behind a text that is not taken. @type {number | undefined} */
  #held = undefined;

  /**
   * @param {HTMLInputElement} input
   * @param {Target} target
   */
  constructor(input, target) {
    this.input = input;
    this.target = target;
    const begin = () => {
      target.begin();
      this.#taken = false;
    };
    input.addEventListener("focus", begin);
    input.addEventListener("beforeinput", () => {
      const { selectionStart, selectionEnd, value } = input;
      const anew = selectionStart === 0 && selectionEnd === value.length;
      if (anew && this.#held === undefined) begin();
    });
    input.addEventListener("input", () => this.#read());
    input.addEventListener("change", () => this.#end());
    input.addEventListener("forget", () => this.#forget());
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#held !== undefined) this.#forget();
    });
  }

  #read() {
    const value = spelled(this.input.value);
    const reason = refusal(value, this.target.limits());
    if (!reason) {
      this.#release();
      this.#taken = true;
      this.target.set(value);
      return;
    }
    this.#held = NaN; // `show` leaves the text alone
    if (this.#taken) this.target.undo();
    this.#taken = false;
    this.#held = this.target.get();
    // What may become a number gets its time.
    const unfinished = /^\s*([-+−–]?[.,]?|.*\de[-+−]?|.*\d\s*\/\s*-?)\s*$/i.test(this.input.value);
    this.#tell(unfinished ? "" : reason);
  }

  #end() {
    const value = this.target.get();
    const shown = this.#held === undefined && spelled(format(value)) === value;
    if (shown || this.input.value.trim() === "") this.#forget();
    else if (this.#held !== undefined) {
      this.#tell(refusal(spelled(this.input.value), this.target.limits()));
    }
  }

  #forget() {
    this.#release();
    this.input.value = format(this.target.get());
  }

  #release() {
    if (this.#held === undefined) return;
    this.#held = undefined;
    this.#tell("");
  }

  /** @param {string} reason */
  #tell(reason) {
    if (reason) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
    this.target.tell(reason);
  }

  /** Bring the input to its number, unless it holds a text that was refused since. */
  show() {
    const value = this.target.get();
    if (this.#held !== undefined) {
      if (Number.isNaN(this.#held) || this.#held === value) return;
      this.#release();
    }
    // What the reader has written stays, as long as it is the number.
    if (spelled(this.input.value) !== value) this.input.value = format(value);
  }
}
