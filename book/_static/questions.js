/**
 * Checks what a reader answers to the questions of a page (see questions.py).
 *
 * It says "Right", or gives the hint for the wrong answer that was given, if there is one. What was
 * answered rightly is kept in the browser, and nowhere else, until the reader erases it.
 */

const PLACE = "cnn_tf answers"; // in the browser's storage, which other sites of the host share
const CLOSE = 1e-9; // relative: what the last bits of a fraction may differ by

/**
 * What is typed, as a number: also with a decimal comma, a true minus sign, as a fraction, or with
 * commas between thousands.
 * @param {string} text
 * @returns {number} NaN if it is none.
 */
export function readNumber(text) {
  const plain = text.trim().replace(/\u2212/g, "-").replace(/[\s_\u202f](?=\d{3}(\D|$))/g, "");
  const [over, under, ...more] = plain.split("/").map(readDecimal);
  if (more.length > 0) return NaN;
  return under === undefined ? over : over / under;
}

/** @param {string} text */
function readDecimal(text) {
  let plain = text.trim();
  if (/^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$/.test(plain)) plain = plain.replace(/,/g, "");
  plain = plain.replace(",", ".");
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
}

/**
 * Whole numbers with anything between them that people put there: 3, 4 and (3, 4) and 3 × 4.
 * @param {string} text
 * @returns {number[] | undefined}
 */
export function readShape(text) {
  const plain = text.replace(/\u2212/g, "-").replace(/[()[\]]/g, " ").trim();
  const parts = plain.split(/\s*[,;x×*]\s*|\s+by\s+|\s+/i).filter((part) => part !== "");
  const numbers = parts.map(Number);
  return numbers.length > 0 && numbers.every(Number.isInteger) ? numbers : undefined;
}

/**
 * Rows, in lines of their own or after semicolons or brackets; numbers between spaces or commas.
 * @param {string} text
 * @returns {number[][] | undefined}
 */
export function readMatrix(text) {
  const rows = text.trim().replace(/^\[\s*(?=\[)|(?<=\])\s*\]$/g, "").split(/[\n;]|\]\s*,?\s*\[/)
    .map((row) => row.replace(/[[\](),]/g, " ").trim()).filter((row) => row !== "")
    .map((row) => row.split(/\s+/).map(readNumber));
  const even = rows.every((row) => row.length === rows[0].length);
  return rows.length > 0 && even && !rows.flat().some(Number.isNaN) ? rows : undefined;
}

/**
 * Whether two answers are the same, their numbers up to so much.
 * @param {unknown} a
 * @param {unknown} b
 * @param {number} within
 * @returns {boolean}
 */
export function agree(a, b, within) {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((part, i) => agree(part, b[i], within));
  }
  if (typeof a !== "number" || typeof b !== "number") return false;
  return Math.abs(a - b) <= Math.max(within, CLOSE * Math.max(Math.abs(a), Math.abs(b)));
}

/** What each kind reads, and what it says to an entry that it cannot read. */
const KINDS = {
  number: {
    /** @param {string} text */
    read: (text) => Number.isNaN(readNumber(text)) ? undefined : readNumber(text),
    expected: "a number, such as 12, 0.5 or 1/3",
  },
  shape: { read: readShape, expected: "whole numbers with commas between them, such as 3, 4" },
  matrix: {
    read: readMatrix,
    expected: "rows of equal length, in lines of their own or with semicolons between them, " +
      "such as 1 0 2; 3 4 5",
  },
  choice: { read: Number, expected: "one of the answers" },
};

/**
 * What is kept of a page: the number of its questions, and what was entered where it was right.
 * @typedef {{of: number, right: Record<string, string>}} Progress
 */

class Kept {
  /** @returns {Record<string, Progress>} By page. */
  static read() {
    try {
      return JSON.parse(localStorage.getItem(PLACE) ?? "{}");
    } catch {
      return {}; // no storage, or not ours
    }
  }

  /** @param {Record<string, Progress>} pages */
  static write(pages) {
    try {
      if (Object.keys(pages).length > 0) localStorage.setItem(PLACE, JSON.stringify(pages));
      else localStorage.removeItem(PLACE);
    } catch {
      // A browser that keeps nothing: all works, until the page is left.
    }
  }
}

class Question {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.name = element.dataset.name ?? "";
    this.form = /** @type {HTMLFormElement} */ (element.querySelector("form.answer"));
    this.verdict = /** @type {HTMLElement} */ (element.querySelector(".verdict"));
    this.button = /** @type {HTMLButtonElement} */ (this.form.querySelector("button"));
    this.button.hidden = false;
    this.right = false;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.check();
    });
    this.form.addEventListener("input", () => this.clear());
    this.form.addEventListener("keydown", (event) => {
      const submits = event.key === "Enter" && (event.ctrlKey || event.metaKey);
      if (submits && event.target instanceof HTMLTextAreaElement) this.form.requestSubmit();
    });
  }

  get entry() {
    return String(new FormData(this.form).get("answer") ?? "");
  }

  /** @param {string} entry */
  set entry(entry) {
    for (const control of this.form.querySelectorAll("input, textarea")) {
      if (control instanceof HTMLInputElement && control.type === "radio") {
        control.checked = control.value === entry;
      } else if (control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement) {
        control.value = entry;
      }
    }
  }

  /** Take back what was said of another entry. */
  clear() {
    this.say("");
    this.right = false;
    this.element.dispatchEvent(new Event("answered", { bubbles: true }));
  }

  check() {
    const kind = KINDS[/** @type {keyof typeof KINDS} */ (this.form.dataset.kind)];
    const given = this.entry.trim() === "" ? undefined : kind.read(this.entry);
    if (given === undefined) return this.say("unread", `Expected ${kind.expected}.`);
    this.right = meets(this.form, given);
    if (this.right) {
      this.say("right", "Right.");
      this.element.querySelector("details")?.setAttribute("open", "");
    } else {
      const hints = /** @type {NodeListOf<HTMLElement>} */ (this.element.querySelectorAll(".hint"));
      const hint = Array.from(hints).find((one) => meets(one, given));
      const words = hint?.cloneNode(true).childNodes ?? ["Try another way to get there."];
      this.say("wrong", "Not yet. ", ...words);
    }
    this.element.dispatchEvent(new Event("answered", { bubbles: true }));
  }

  /**
   * @param {string} result
   * @param {(string | Node)[]} words
   */
  say(result, ...words) {
    this.verdict.dataset.result = result;
    this.verdict.replaceChildren(...words);
  }
}

/**
 * Whether what is given is the answer that an element holds.
 * @param {HTMLElement} element
 * @param {unknown} given
 */
function meets(element, given) {
  const { answer = "null", within = "0" } = element.dataset;
  return agree(given, JSON.parse(answer), Number(within));
}

/** @param {() => void} erase */
function eraser(erase) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "erase";
  button.textContent = "Erase my answers";
  button.addEventListener("click", erase);
  return button;
}

/**
 * Below the questions of a page: how many are answered.
 * @param {HTMLElement[]} elements
 */
function follow(elements) {
  const page = (elements[0].dataset.name ?? "").replace(/-\d+$/, "");
  const questions = elements.map((element) => new Question(element));
  const line = document.createElement("p");
  line.className = "progress";
  const count = document.createElement("span");
  const erase = eraser(() => {
    for (const question of questions) {
      question.entry = "";
      question.clear();
      question.element.querySelector("details")?.removeAttribute("open");
    }
    keep();
    questions[0].form.querySelector("input")?.focus();
  });
  line.append(count, " ", erase);
  elements[elements.length - 1].after(line);

  function keep() {
    const right = questions.filter((question) => question.right);
    const { [page]: _, ...pages } = Kept.read();
    const entries = right.map((question) => [question.name, question.entry]);
    if (right.length > 0) {
      pages[page] = { of: questions.length, right: Object.fromEntries(entries) };
    }
    Kept.write(pages);
    show();
  }

  function show() {
    const right = questions.filter((question) => question.right).length;
    count.textContent = `${right} of ${questions.length} answered rightly. ` +
      "It is kept in this browser only.";
    erase.hidden = questions.every((question) => question.entry === "");
  }

  const before = Kept.read()[page]?.right ?? {};
  for (const question of questions) {
    const entry = before[question.name];
    if (entry === undefined) continue;
    question.entry = entry;
    const value = KINDS[/** @type {keyof typeof KINDS} */ (question.form.dataset.kind)].read(entry);
    question.right = meets(question.form, value); // the question may be another one by now
    if (question.right) question.say("right", "Right.");
    else question.entry = "";
  }
  show();
  for (const element of elements) element.addEventListener("answered", keep);
}

/** On the page that lists the sections: how many questions of each are answered. */
function list() {
  /** @type {Element[]} */
  const shown = [];
  for (const [page, { of, right }] of Object.entries(Kept.read())) {
    const link = document.querySelector(`article dt a.internal[href="${CSS.escape(page)}.html"]`);
    if (!link) continue;
    const words = document.createElement("small");
    words.className = "progress";
    words.textContent = ` ${Object.keys(right).length} of ${of} questions answered`;
    link.after(words);
    shown.push(words);
  }
  if (shown.length === 0) return;
  const erase = eraser(() => {
    Kept.write({});
    for (const words of shown) words.remove();
    erase.remove();
  });
  shown[shown.length - 1].closest("dl")?.after(erase);
}

if (typeof document !== "undefined") {
  const elements = Array.from(document.querySelectorAll(".question"));
  if (elements.length > 0) follow(/** @type {HTMLElement[]} */ (elements));
  else list();
}
