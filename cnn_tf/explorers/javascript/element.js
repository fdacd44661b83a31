/**
 * What all explorers share: a state that stands in the page's address, labelled controls, playing.
 *
 * An explorer is a custom element. Its `settings` attribute holds the state at the start, under the
 * names of `cnn_tf.explore`; its children are a static figure of the same thing, seen where scripts
 * are off and in print. With the attribute `linked` it keeps its state in the address of the page.
 */

import { Entry, spelled } from "./numbers.js";
import { bytesOf } from "./packed.js";
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
      const value = spelled(text);
      if (!Number.isFinite(value)) return undefined;
      return Math.min(most, Math.max(least, integer ? Math.round(value) : value));
    },
    write: (value) => String(+Number(value).toPrecision(12)),
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
 * One that may be left open: an address without it says so.
 * @param {Kind} kind
 * @returns {Kind}
 */
export function optional(kind) {
  return { read: kind.read, write: (value) => value === undefined ? "" : kind.write(value) };
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

/**
 * What is given beside the result, one below the other where there is no room.
 * @param {...Node} parts
 * @returns {HTMLElement}
 */
export function beside(...parts) {
  return make("div", { class: "row beside" }, ...parts);
}

/**
 * A part with the sign before it, which a line break does not separate.
 * @param {Node | string} sign
 * @param {...Node} parts
 * @returns {HTMLElement}
 */
export function term(sign, ...parts) {
  const before = typeof sign === "string" ? make("span", { class: "sign" }, sign) : sign;
  return make("div", { class: "term" }, before, ...parts);
}

/**
 * What the controls change: where there is little room, it stays in view while they are used.
 * @param {...Node} parts
 * @returns {HTMLElement}
 */
export function result(...parts) {
  return make("div", { class: "result" }, ...parts);
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

/**
 * Whether a click is one to be handled here: not one that opens a link elsewhere.
 * @param {MouseEvent} event
 */
function plain({ button, altKey, ctrlKey, metaKey, shiftKey }) {
  return button === 0 && !altKey && !ctrlKey && !metaKey && !shiftKey;
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

  /** What is shown: what was asked for, as far as it fits. @type {State} */
  state = {};

  /** What was asked for. It stays when it does not fit, so that it can come back. @type {State} */
  #asked = {};

  /** @type {State} */
  #start = {};

  /** @type {(() => void)[]} */
  #controls = [];

  #timer = 0;

  /** What went wrong. It stands at the end, unless `build` puts it elsewhere. */
  alert = make("p", { class: "note", role: "alert" });

  /** What cannot be a setting, such as pictures and weights. @type {any} */
  data = undefined;

  #observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) this.#wake();
  }, { rootMargin: "100%" });

  connectedCallback() {
    // Out of sight there is nothing to explore, and no weights need to be fetched.
    if (!this.shadowRoot) this.#observer.observe(this);
    if (!this.hasAttribute("linked")) return;
    document.addEventListener("click", this.#follow);
    addEventListener("popstate", this.#return);
  }

  disconnectedCallback() {
    this.#observer.disconnect();
    document.removeEventListener("click", this.#follow);
    removeEventListener("popstate", this.#return);
    this.stop();
  }

  /** @type {Promise<void> | undefined} */
  #awake = undefined;

  #wake() {
    return this.#awake ??= this.#begin();
  }

  async #begin() {
    this.#observer.disconnect();
    // What is typed here is for the explorer: the arrow keys, say, must not turn the page.
    this.addEventListener("keydown", (event) => event.stopPropagation());
    this.data ??= await this.#read();
    const settings = JSON.parse(this.getAttribute("settings") ?? "{}");
    this.#start = { .../** @type {typeof Explorer} */ (this.constructor).defaults, ...settings };
    this.#ask({ ...this.#start, ...this.#fromAddress() });
    const body = make("div", { class: "explorer" }, ...this.build());
    if (!this.alert.parentElement) body.append(this.alert);
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

  /**
   * The large file beside the element, which nobody fetches before the reader asks for it.
   * @param {{anew?: boolean}} options `anew`: not from what the browser has kept.
   * @returns {Promise<ArrayBuffer>}
   */
  async archive({ anew = false } = {}) {
    const address = this.getAttribute("archive");
    if (!address) {
      const inner = this.querySelector("script[type='application/gzip;base64']");
      return bytesOf(inner?.textContent ?? "").buffer;
    }
    const integrity = this.getAttribute("integrity") ?? "";
    const response = await fetch(address, { integrity, cache: anew ? "reload" : "default" });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return await response.arrayBuffer();
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
    say(this.alert, ""); // what went wrong before is over
    this.#ask({ ...this.#asked, ...changes });
    this.draw();
    this.#refresh();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#toAddress(), 200); // browsers refuse too many a second
  }

  /** Take the state from a link in the text, in place of loading the page again. */
  #follow = async (/** @type {MouseEvent} */ event) => {
    const link = /** @type {Element} */ (event.target).closest("a[href]");
    if (!(link instanceof HTMLAnchorElement) || !plain(event)) return;
    const { hash, pathname, search } = link;
    if (hash !== `#${this.id}` || pathname !== location.pathname || !search) return;
    event.preventDefault();
    await this.#wake();
    this.stop();
    this.#toAddress(); // of the state to which the reader can go back
    history.pushState(null, "", location.href);
    this.change({ ...this.#start, ...this.#fromAddress(search) });
    this.#toAddress();
    const { top, bottom } = this.getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) {
      this.scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
    }
  };

  /** Take the state from the address to which the reader has gone back. */
  #return = () => {
    if (!this.shadowRoot) return;
    clearTimeout(this.#timer); // the address is not that of the state that is shown
    this.stop();
    const { kinds } = /** @type {typeof Explorer} */ (this.constructor);
    const asked = { ...this.#start, ...this.#fromAddress() };
    const written = (/** @type {State} */ state) =>
      Object.entries(kinds).map(([key, kind]) => kind.write(state[key])).join(" ");
    if (written(asked) !== written(this.state)) this.change(asked);
  };

  /** @param {State} asked */
  #ask(asked) {
    this.#asked = asked;
    this.state = { ...asked };
    this.settle(this.state);
  }

  /**
   * Do what can go wrong, and tell the reader if it does.
   * @param {() => void | Promise<void>} action
   */
  async attempt(action) {
    say(this.alert, "");
    try {
      await action();
    } catch (error) {
      say(this.alert, error instanceof Error ? error.message : String(error));
    }
  }

  /** Go back to the state at the start. */
  reset() {
    this.stop();
    this.change({ ...this.#start });
    const refused = this.shadowRoot?.querySelectorAll("[aria-invalid]") ?? [];
    for (const input of refused) input.dispatchEvent(new CustomEvent("forget"));
  }

  /**
   * A number that the reader sets: a field between two buttons that take one away and add one.
   * @param {string} label
   * @param {{least: number, most: number | (() => number), get: () => number,
   *   set: (value: number) => void, hidden?: boolean,
   *   next?: (value: number, by: number) => number}} options From the least to the most, which may
   *   depend on the state. The numbers are whole, unless `next` says to which one the buttons lead.
   *   A hidden label is heard and not seen.
   */
  numberControl(label, { least, most, get, set, hidden = false, next }) {
    const id = `number-${this.#controls.length}`;
    const largest = () => typeof most === "function" ? most() : most;
    const input = make("input", {
      id,
      type: "text",
      inputmode: next ? "decimal" : "numeric",
      autocomplete: "off",
      role: "spinbutton",
      "aria-valuemin": least,
      "aria-describedby": `${id}-refused`,
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        const by = arrow(event)?.[0];
        if (!by) return;
        event.preventDefault();
        step(-by);
      },
    });
    const refused = make("span", { id: `${id}-refused`, class: "refused", role: "alert" });
    // What holds when the reader begins to type, and after what was typed since.
    let [before, own] = [this.#asked, this.#asked];
    const entry = new Entry(input, {
      limits: () => ({ least, most: largest(), integer: !next }),
      get,
      set: (value) => {
        if (this.#asked !== own) before = this.#asked; // something else has changed since
        this.#ask(before);
        set(value);
        own = this.#asked;
      },
      begin: () => [before, own] = [this.#asked, this.#asked],
      undo: () => {
        if (this.#asked !== own) return;
        this.change(before);
        own = this.#asked;
      },
      tell: (reason) => say(refused, reason),
    });
    const step = (/** @type {number} */ by) => {
      const wanted = next ? next(get(), by) : get() + by;
      const value = Math.min(Math.max(wanted, least), largest());
      if (value !== get()) set(value);
    };
    const one = next ? "" : "one ";
    const [less, more] = [["−", "less", -1], ["+", "more", 1]].map(([sign, words, by]) =>
      make("button", {
        type: "button",
        tabindex: -1, // the arrow keys do the same
        "aria-label": `${label}: ${one}${words}`,
        onpointerdown: (/** @type {Event} */ event) => event.preventDefault(), // keeps the focus
        onclick: () => step(Number(by)),
      }, String(sign))
    );
    this.#controls.push(() => {
      entry.show();
      input.setAttribute("aria-valuenow", get());
      input.setAttribute("aria-valuemax", largest());
      less.disabled = get() <= least;
      more.disabled = get() >= largest();
    });
    const words = make("label", { for: id, ...(hidden ? { class: "hidden" } : {}) }, label);
    const stepper = make("span", { class: "stepper" }, less, input, more);
    return make("span", { class: "number" }, words, stepper, refused);
  }

  /**
   * A slider.
   * @param {string} label
   * @param {{least: number, most: number, get: () => number, set: (value: number) => void,
   *   show: (value: number) => string}} options `show` says in words what is set.
   */
  sliderControl(label, { least, most, get, set, show }) {
    const shown = make("span", { "aria-hidden": "true" });
    const input = make("input", {
      type: "range",
      min: least,
      max: most,
      oninput: () => set(input.valueAsNumber),
    });
    this.#controls.push(() => {
      input.value = String(get());
      shown.textContent = show(get());
      input.setAttribute("aria-valuetext", show(get()));
    });
    return make("label", {}, make("span", {}, label), input, shown);
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
      const copied = make("span", { "aria-live": "polite" });
      const link = make("a", {
        class: "link",
        onclick: (/** @type {MouseEvent} */ event) => {
          if (!plain(event)) return;
          event.preventDefault();
          this.#copy().then((words) => say(copied, words));
        },
      }, "Link to this state");
      this.#controls.push(() => {
        link.href = this.#address();
        say(copied, "");
      });
      foot.append(link, copied);
    }
    return foot;
  }

  /** Copy the address of this state. */
  async #copy() {
    history.replaceState(history.state, "", this.#address());
    try {
      await navigator.clipboard.writeText(location.href);
      return "Copied.";
    } catch { // without leave, or without https
      return "It is in the address bar: copy it from there.";
    }
  }

  #refresh() {
    for (const control of this.#controls) control();
    // On a phone what the controls change stays in view above them, if it leaves them room.
    const shown = this.shadowRoot?.querySelector(".result");
    if (!(shown instanceof HTMLElement)) return;
    const narrow = this.clientWidth < 480;
    shown.classList.toggle("stays", narrow && shown.offsetHeight < innerHeight / 2);
  }

  #name() {
    return this.localName.replace("cnn-", "");
  }

  #fromAddress(query = location.search) {
    /** @type {State} */
    const found = {};
    if (!this.hasAttribute("linked")) return found;
    const asked = new URLSearchParams(query);
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
