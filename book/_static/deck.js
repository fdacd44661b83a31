/** Starts the slides of a page: by keyboard, touch or its buttons; S opens the presenter's view. */
(() => {
  // @ts-expect-error: scripts of reveal.js, loaded before
  const { Reveal, RevealNotes } = globalThis;

  Reveal.initialize({
    plugins: [RevealNotes],
    hash: true,
    center: false,
    display: "flex", // of the slide that is shown
    disableLayout: true, // nothing is scaled, so that a pointer hits what it points at
    transition: "none",
    slideNumber: "c/t",
    // What moves by keys itself keeps them.
    keyboardCondition: () => !document.activeElement?.closest(".shown"),
  });
})();
