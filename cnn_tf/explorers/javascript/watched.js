/** A validation picture of the reader's choice, and what a network says of it while it learns. */

import { tensor } from "./arithmetic.js";
import { make, row } from "./element.js";
import { SIDE } from "./network.js";
import { paint } from "./picture.js";

/** @typedef {import("./archive.js").Part} Part */

const PIXELS = SIDE * SIDE;

export class Watched {
  #choices = make(
    "fieldset",
    { class: "thumbnails" },
    make("legend", {}, "A picture of the validation set, classified while the network learns"),
  );

  #picture = make("canvas", { class: "watched", role: "img" });

  #bars = make("tbody");

  #others = make(
    "button",
    { type: "button", onclick: () => this.#offer(this.#group + 1) },
    "Others",
  );

  element = make(
    "div",
    { class: "inside", hidden: true },
    row(this.#choices, this.#others),
    row(
      this.#picture,
      make("table", { class: "bars", "aria-label": "Probabilities of the classes" }, this.#bars),
    ),
  );

  /** @type {Part | undefined} */
  #pictures = undefined;

  /** For each class, the places of its pictures. @type {number[][]} */
  #places = [];

  #group = 0;

  /** The place of the picture that is watched. */
  place = 0;

  /**
   * @param {string[]} names Of the classes.
   * @param {(place: number) => void} watch
   */
  constructor(names, watch) {
    this.names = names;
    this.watch = watch;
    this.#bars.append(...names.map((name) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, name),
        make("td", { class: "bar" }, make("span")),
        make("td", { class: "percent" }, "–"),
        make("td", { class: "marks" }),
      )
    ));
  }

  /** @param {Part} pictures */
  use(pictures) {
    this.#pictures = pictures;
    this.#places = this.names.map(() => []);
    pictures.labels.forEach((label, place) => this.#places[label].push(place));
    this.#offer(0);
    this.element.hidden = false;
  }

  /**
   * Offer a picture of each class.
   * @param {number} group
   */
  #offer(group) {
    this.#group = group;
    const places = this.#places.filter((of) => of.length).map((of) => of[group % of.length]);
    this.#choices.replaceChildren(
      /** @type {Node} */ (this.#choices.firstChild),
      ...places.map((place) => this.#choice(place)),
    );
    this.#choices.querySelector("input").checked = true;
    this.#look(places[0]);
  }

  /** @param {number} place */
  #choice(place) {
    const name = this.#name(place);
    const radio = make("input", {
      type: "radio",
      name: "watched",
      value: place,
      class: "hidden",
      "aria-label": name,
      onchange: () => this.#look(place),
    });
    const small = make("canvas", { "aria-hidden": "true" });
    paint(small, this.#tensor(place));
    return make("label", { title: name }, radio, small);
  }

  /** @param {number} place */
  #look(place) {
    this.place = place;
    paint(this.#picture, this.#tensor(place));
    this.#picture.setAttribute("aria-label", this.#name(place));
    this.show(undefined);
    this.watch(place);
  }

  /** @param {number} place */
  #name(place) {
    return `${this.names[this.#pictures?.labels[place] ?? 0]}, picture ${place + 1}`;
  }

  /** @param {number} place */
  #tensor(place) {
    const pixels = this.#pictures?.pictures.subarray(place * PIXELS, (place + 1) * PIXELS) ?? [];
    return tensor([SIDE, SIDE], Float64Array.from(pixels, (pixel) => pixel / 255));
  }

  /** @param {Float32Array | undefined} found */
  show(found) {
    const probabilities = found?.every(Number.isFinite) ? found : undefined; // a lost network's are not
    const best = probabilities?.indexOf(Math.max(...probabilities));
    const truth = this.#pictures?.labels[this.place];
    [...this.#bars.rows].forEach(
      (/** @type {HTMLTableRowElement} */ line, /** @type {number} */ k) => {
        const [, bar, percent, marks] = line.cells;
        const p = 100 * (probabilities?.[k] ?? 0);
        /** @type {HTMLElement} */ (bar.firstChild).style.width = `${p.toFixed(1)}%`;
        percent.textContent = probabilities ? `${p.toFixed(1)} %` : "–";
        line.classList.toggle("best", k === best);
        const words = [k === best ? "answer" : "", k === truth ? "label" : ""].filter(Boolean);
        marks.textContent = words.join(", ");
      },
    );
  }
}
