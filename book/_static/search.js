/**
 * The excerpts on the page of results: prose, without code and what it prints, as the index has it
 * (see search.py), and with a space between any two blocks.
 */
(() => {
  const LEFT_OUT = ".no-search, .equation, annotation, details.hide > summary, .headerlink, " +
    "script, style, template, noscript";
  const BLOCKS = "h1, h2, h3, h4, h5, h6, p, li, dt, dd, div, section, figcaption, caption, " +
    "td, th, summary, br";

  /**
   * @param {string} html
   * @param {string} [anchor] Of a section: `#name`.
   */
  function text(html, anchor) {
    const page = new DOMParser().parseFromString(html, "text/html");
    const main = page.querySelector('[role="main"]');
    const part = anchor ? page.getElementById(anchor.slice(1)) ?? main : main;
    if (!part) return "";
    for (const element of part.querySelectorAll(LEFT_OUT)) element.remove();
    for (const block of part.querySelectorAll(BLOCKS)) {
      block.before(" ");
      block.after(" ");
    }
    return part.textContent.replace(/\s+/g, " ").trim();
  }

  // @ts-expect-error: a constant of Sphinx's searchtools.js
  Search.htmlToText = text;
})();
