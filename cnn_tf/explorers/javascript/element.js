/**
 * What all explorers share: a state that stands in the page's address, labelled controls, playing.
 *
 * An explorer is a custom element. Its `settings` attribute holds the state at the start, under the
 * names of `cnn_tf.explore`; its children are a static figure of the same thing, seen where scripts
 * are off and in print. With the attribute `linked` it keeps its state in the address of the page.
 */

import { sheet } from "./style.js";

/**
 * A kind of setting: how it is read from an address, and written there. What cannot be read is
 * undefined, and the setting keeps its value.
 * @typedef {{read: (text: string) => any, write: (value: any) => string}} Kind
 */

/** @typedef {{[key: string]: any}} State */

// --- Kinds of settings ---------------------------------------------------------------------------

/**
 * A number between two others.
 * @param {number} least
 * @param {number} most
 * @param {{integer?: boolean}} options
 * @returns {Kind}
 */
export function number(least = -Infinity, most = Infinity, { integer = false } = {}) {
  return {
    read(text) {
      const value = Number(text.trim().replaceAll("−", "-").replace(",", "."));
      if (text.trim() === "" || !Number.isFinite(value)) return undefined;
      return Math.min(most, Math.max(least, integer ? Math.round(value) : value));
    },
    write: (value) => String(+Number(value).toPrecision(6)),
  };
}

/**
 * An integer between two others.
 * @param {number} least
 * @param {number} most
 */
export function integer(least, most) {
  return number(least, most, { integer: true });
}

/**
 * One of some words.
 * @param {readonly string[]} words
 * @returns {Kind}
 */
export function choice(words) {
  return { read: (text) => (words.includes(text) ? text : undefined), write: String };
}

/**
 * Several of one kind, with a separator between them.
 * @param {Kind} kind
 * @param {string} separator
 * @param {number} least
 * @param {number} most
 * @returns {Kind}
 */
export function list(kind, separator, least, most = least) {
  return {
    read(text) {
      const values = text.split(separator).map((part) => kind.read(part));
      const fits = values.length >= least && values.length <= most && !values.includes(undefined);
      const alike = new Set(values.map((value) => value?.length)).size === 1; // rows of a matrix
      return fits && alike ? values : undefined;
    },
    write: (values) => values.map(kind.write).join(separator),
  };
}

/**
 * A pair of integers.
 * @param {number} least
 * @param {number} most
 */
export function pairOf(least, most) {
  return list(integer(least, most), ",", 2);
}

/**
 * A matrix of numbers: `1,2;3,4`.
 * @param {number} most Rows, and columns, at most.
 */
export function matrixOf(most) {
  return list(list(number(-1e6, 1e6), ",", 1, most), ";", 1, most);
}

/**
 * A number for a reader: an integer, or four digits; and a minus sign that is one.
 * @param {number} value
 */
export function format(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "none" : value < 0 ? "−∞" : "∞";
  const exact = Number.isSafeInteger(value);
  const text = String(exact ? value : +value.toPrecision(4));
  return text.replace("e+", "e").replaceAll("-", "−");
}

/**
 * A factor in a sum: a negative one in brackets.
 * @param {number} value
 */
export function factor(value) {
  return value < 0 ? `(${format(value)})` : format(value);
}

// --- Building ------------------------------------------------------------------------------------

/**
 * An element with its attributes, its listeners (functions whose name begins with `on`) and its
 * children.
 * @param {string} name
 * @param {{[name: string]: any}} attributes
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "rect", "circle", "text", "polyline"].includes(name);
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(key, value);
    else element.setAttribute(key, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * Parts side by side, one below another where there is no room.
 * @param {...(Node | string)} parts
 * @returns {HTMLElement}
 */
export function row(...parts) {
  return make("div", { class: "row" }, ...parts);
}

/** @type {{[key: string]: [number, number]}} */
const ARROWS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/**
 * The step, down and to the right, that an arrow key asks for; of other keys none.
 * @param {KeyboardEvent} event
 * @returns {[number, number] | undefined}
 */
export function arrow({ key }) {
  return ARROWS[key];
}

/**
 * Set the words of an element that is read aloud when they change: only if they do.
 * @param {Element} element
 * @param {string} words
 */
export function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** Whether the reader has asked for less motion. */
export function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

// --- The element ---------------------------------------------------------------------------------

/** The base of all explorers. */
export class Explorer extends HTMLElement {
  /**
   * The settings that an address can hold.
   * @type {{[key: string]: Kind}}
   */
  static kinds = {};

  /**
   * The state at the start, where the attribute `settings` is silent.
   * @type {State}
   */
  static defaults = {};

  /** @type {State} */
  state = {};

  /** @type {State} */
  #start = {};

  /** @type {(() => void)[]} */
  #controls = [];

  #timer = 0;

  /** What cannot be a setting, such as pictures and weights. @type {any} */
  data = undefined;

  #observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) this.#wake();
  }, { rootMargin: "100%" });

  connectedCallback() {
    // Out of sight there is nothing to explore, and no weights need to be fetched.
    if (!this.shadowRoot) this.#observer.observe(this);
  }

  disconnectedCallback() {
    this.#observer.disconnect();
    this.stop();
  }

  async #wake() {
    this.#observer.disconnect();
    // What is typed here is for the explorer: the arrow keys, say, must not turn the page.
    this.addEventListener("keydown", (event) => event.stopPropagation());
    this.data ??= await this.#read();
    if (this.shadowRoot) return;
    const settings = JSON.parse(this.getAttribute("settings") ?? "{}");
    this.#start = { .../** @type {typeof Explorer} */ (this.constructor).defaults, ...settings };
    this.state = { ...this.#start, ...this.#fromAddress() };
    this.settle(this.state);
    const body = make("div", { class: "explorer" }, ...this.build());
    body.append(this.#foot());
    this.draw();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(body, make("slot"));
    this.#refresh();
    // A link leads to the explorer, whose height is not that of the figure it was.
    if (this.id && location.hash === `#${this.id}`) this.scrollIntoView();
    this.dispatchEvent(new CustomEvent("ready", { bubbles: true }));
  }

  /** What stands beside the element: in a script within it, or in a file that the site serves. */
  async #read() {
    const file = this.getAttribute("src");
    if (file) return await (await fetch(file)).json();
    const inner = this.querySelector("script[type='application/json']");
    return inner ? JSON.parse(inner.textContent ?? "") : {};
  }

  // What an explorer has of its own.

  /**
   * Make the parts that stay, once.
   * @returns {Node[]}
   */
  build() {
    return [];
  }

  /** Bring all parts to the state. */
  draw() {}

  /**
   * Mend a state whose settings do not fit each other.
   * @param {State} _state
   */
  settle(_state) {}

  // What an explorer uses.

  /**
   * Change the state, and draw it.
   * @param {State} changes
   */
  change(changes) {
    Object.assign(this.state, changes);
    this.settle(this.state);
    this.draw();
    this.#refresh();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#toAddress(), 200); // browsers refuse too many a second
  }

  /** Go back to the state at the start. */
  reset() {
    this.stop();
    this.change({ ...this.#start });
  }

  /**
   * A number that the reader sets: a field, or with `slide` a slider.
   * @param {string} label
   * @param {{least: number, most: number, step?: number, slide?: boolean, get: () => number,
   *   set: (value: number) => void, show?: (value: number) => string, hidden?: boolean}} options
   */
  numberControl(label, { least, most, step = 1, slide = false, get, set, show, hidden = false }) {
    const shown = show && make("span", { "aria-hidden": "true" });
    const input = make("input", {
      type: slide ? "range" : "number",
      min: least,
      max: most,
      step,
      oninput: () => {
        if (input.value !== "" && input.validity.valid) set(input.valueAsNumber);
      },
      onblur: () => input.value = String(get()),
    });
    this.#controls.push(() => {
      // While the reader types, what is no number yet stays.
      const typed = this.shadowRoot?.activeElement === input &&
        (input.value === "" || !input.validity.valid);
      if (!typed && input.valueAsNumber !== get()) input.value = String(get());
      if (show) {
        shown.textContent = show(get());
        input.setAttribute("aria-valuetext", show(get()));
      }
    });
    const words = make("span", hidden ? { class: "hidden" } : {}, label);
    return make("label", {}, words, input, ...(show ? [shown] : []));
  }

  /**
   * A choice of one of several.
   * @param {string} label
   * @param {{options: {[value: string]: string}, get: () => string, set: (value: string) => void}}
   *   options
   */
  choiceControl(label, { options, get, set }) {
    const entries = Object.entries(options).map(([value, text]) => make("option", { value }, text));
    const select = make("select", { onchange: () => set(select.value) }, ...entries);
    this.#controls.push(() => select.value = get());
    return make("label", {}, label, select);
  }

  /**
   * A box to tick.
   * @param {string} label
   * @param {{get: () => boolean, set: (value: boolean) => void}} options
   */
  checkControl(label, { get, set }) {
    const box = make("input", { type: "checkbox", onchange: () => set(box.checked) });
    this.#controls.push(() => box.checked = get());
    return make("label", {}, box, label);
  }

  /**
   * A button that opens a file of the reader's own.
   * @param {string} label
   * @param {string} accept The kinds of files, as HTML has them.
   * @param {(file: File) => void} open
   * @returns {HTMLLabelElement}
   */
  fileControl(label, accept, open) {
    const input = make("input", {
      type: "file",
      accept,
      onchange: () => {
        if (input.files[0]) open(input.files[0]);
        input.value = ""; // so that the same file can be chosen again
      },
    });
    return make("label", { class: "file" }, label, input);
  }

  /**
   * A button.
   * @param {string} label
   * @param {() => void} onclick
   * @returns {HTMLButtonElement}
   */
  button(label, onclick) {
    return make("button", { type: "button", onclick }, label);
  }

  // Playing

  #playing = 0;

  /**
   * A button that repeats a step until it is stopped, or until the step returns false. A reader who
   * wants less motion gets all steps at once.
   * @param {string} label
   * @param {() => boolean} step
   * @param {number} pause In milliseconds.
   */
  playControl(label, step, pause) {
    const button = this.button(label, () => {
      if (this.#playing) {
        this.stop();
      } else if (calm()) {
        while (step());
      } else {
        this.#playing = setInterval(() => step() || this.stop(), pause);
        this.#refresh();
      }
    });
    this.#controls.push(() => button.textContent = this.#playing ? "Pause" : label);
    return button;
  }

  /** Stop what plays. */
  stop() {
    clearInterval(this.#playing);
    this.#playing = 0;
    if (this.shadowRoot) this.#refresh();
  }

  /** Whether something plays: then nothing is read aloud. */
  get playing() {
    return this.#playing !== 0;
  }

  // The address

  #foot() {
    const foot = row(this.button("Reset", () => this.reset()));
    if (this.hasAttribute("linked")) {
      const link = make("a", { class: "link" }, "Link to this state");
      this.#controls.push(() => link.href = this.#address());
      foot.append(link);
    }
    return foot;
  }

  #refresh() {
    for (const control of this.#controls) control();
  }

  #name() {
    return this.localName.replace("cnn-", "");
  }

  #fromAddress() {
    /** @type {State} */
    const found = {};
    if (!this.hasAttribute("linked")) return found;
    const asked = new URLSearchParams(location.search);
    const { kinds } = /** @type {typeof Explorer} */ (this.constructor);
    for (const [key, kind] of Object.entries(kinds)) {
      const text = asked.get(`${this.#name()}.${key}`);
      const value = text === null ? undefined : kind.read(text);
      if (value !== undefined) found[key] = value;
    }
    return found;
  }

  #address() {
    const { kinds } = /** @type {typeof Explorer} */ (this.constructor);
    const mine = `${this.#name()}.`;
    const parts = [...new URLSearchParams(location.search)].filter(([key]) =>
      !key.startsWith(mine)
    );
    for (const [key, kind] of Object.entries(kinds)) {
      const text = kind.write(this.state[key]);
      if (text !== kind.write(this.#start[key])) parts.push([mine + key, text]);
    }
    const query = parts.map(([key, text]) => `${key}=${readable(text)}`).join("&");
    return `${location.pathname}${query && "?"}${query}#${this.id}`;
  }

  #toAddress() {
    if (!this.hasAttribute("linked")) return;
    const address = new URL(this.#address(), location.href);
    address.hash = location.hash; // the place on the page stays the reader's
    history.replaceState(history.state, "", address);
  }
}

/**
 * Encode for an address, apart from what needs it nowhere in a query.
 * @param {string} text
 */
function readable(text) {
  return encodeURIComponent(text).replace(/%(2C|3B|3A|7E)/g, decodeURIComponent);
}

/**
 * Give an element its name, once for a document.
 * @param {string} name
 * @param {typeof Explorer} explorer
 */
export function define(name, explorer) {
  if (!customElements.get(name)) customElements.define(name, explorer);
}
