/**
 * Shows what a reference points at: a term, a work, a figure or an equation.
 *
 * By the mouse after a moment, by the keyboard at once, on a touch screen at the first tap; the
 * second one follows the link. Nothing is fetched: the entries of other pages come with the page, in
 * a template (see previews.py), and figures and equations are copied from the page itself.
 */
(() => {
  const REFERENCES = 'article a.internal[href*="#"]';
  const DELAY = 250; // milliseconds: a pointer passes over references on its way
  const MARGIN = 8; // pixels to the edges of the window

  if (!HTMLElement.prototype.showPopover) return; // an old browser: the links lead there

  const box = document.createElement("div");
  box.id = "preview";
  box.popover = "manual";
  box.setAttribute("role", "tooltip");
  document.body.append(box);

  /** The reference that is shown. @type {Element | undefined} */
  let shown;
  let timer = 0;
  let pointer = "mouse";

  /**
   * The reference that an event is about.
   * @param {Event} event
   */
  function reference(event) {
    return event.target instanceof Element ? event.target.closest(REFERENCES) : null;
  }

  /**
   * What a reference points at, as a copy. Nothing if it can be seen already.
   * @param {Element} link
   * @returns {Node[]}
   */
  function contents(link) {
    const address = link.getAttribute("href") ?? "";
    const entries = document.querySelector("template#previews");
    if (entries instanceof HTMLTemplateElement) {
      const entry = entries.content.querySelector(`[data-for="${CSS.escape(address)}"]`);
      if (entry) return Array.from(entry.childNodes, (node) => node.cloneNode(true));
    }
    if (!address.startsWith("#")) return [];
    /** @type {Element | null} */
    const target = document.getElementById(address.slice(1));
    if (!target || inSight(target)) return [];
    /** @type {Iterable<Element | null>} */
    let parts = [target.querySelector("math")];
    if (target.tagName === "DT") parts = target.nextElementSibling?.children ?? [];
    if (target.tagName === "FIGURE") {
      parts = [target.querySelector('svg[role="img"]'), target.querySelector("figcaption")];
    }
    return Array.from(parts).flatMap((part) => part ? [copy(part)] : []);
  }

  /** @param {Element} target */
  function inSight(target) {
    const { top, bottom } = target.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  }

  /**
   * A copy without names, which belong to the original, and without links.
   * @param {Element} part
   */
  function copy(part) {
    const clone = /** @type {Element} */ (part.cloneNode(true));
    for (const link of clone.querySelectorAll(".headerlink")) link.remove();
    for (const link of clone.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    for (const named of [clone, ...clone.querySelectorAll("[id]")]) named.removeAttribute("id");
    return clone;
  }

  /** @param {Element} link */
  function show(link) {
    clearTimeout(timer);
    if (shown === link) return;
    hide();
    const parts = contents(link);
    if (parts.length === 0) return;
    box.replaceChildren(...parts);
    box.showPopover();
    place(link);
    link.setAttribute("aria-describedby", box.id);
    shown = link;
  }

  function hide() {
    clearTimeout(timer);
    if (!shown) return;
    shown.removeAttribute("aria-describedby");
    shown = undefined;
    box.hidePopover();
  }

  /**
   * Below the reference, or above it where there is more room.
   * @param {Element} link
   */
  function place(link) {
    const line = link.getClientRects()[0]; // a reference may go on in the next line
    const { width, height } = box.getBoundingClientRect();
    const room = innerHeight - line.bottom - 2 * MARGIN;
    const top = height <= room || line.top < room
      ? link.getBoundingClientRect().bottom + MARGIN
      : Math.max(line.top - height - MARGIN, MARGIN);
    const left = Math.min(line.left, document.documentElement.clientWidth - width - MARGIN);
    box.style.top = `${top}px`;
    box.style.left = `${Math.max(left, MARGIN)}px`;
  }

  /** @param {() => void} action */
  function soon(action) {
    clearTimeout(timer);
    timer = setTimeout(action, DELAY);
  }

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "mouse") return;
    const link = reference(event);
    if (link) soon(() => show(link));
    else if (shown && event.target instanceof Node && box.contains(event.target)) {
      clearTimeout(timer); // to be read, it may be pointed at
    } else if (shown && document.activeElement !== shown) soon(hide);
    else if (!shown) clearTimeout(timer);
  });
  document.addEventListener("focusin", (event) => {
    const link = reference(event);
    if (link?.matches(":focus-visible")) show(link);
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  document.addEventListener("pointerdown", (event) => {
    pointer = event.pointerType;
    const inside = event.target instanceof Node && box.contains(event.target);
    if (!inside && reference(event) !== shown) hide();
  });
  document.addEventListener("click", (event) => {
    const link = reference(event);
    if (!link || pointer === "mouse" || event.detail === 0) return; // 0: by the keyboard
    if (shown === link) return hide();
    show(link);
    if (shown === link) event.preventDefault();
  });
  addEventListener("scroll", () => {
    if (document.activeElement !== shown) hide();
    else if (shown) place(shown);
  }, { passive: true });
})();
