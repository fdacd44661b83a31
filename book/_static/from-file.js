/** Of a page that was opened from a file: say why its interactive figures stand still. */
if (location.protocol === "file:") {
  for (const note of document.querySelectorAll(".explorer-note")) note.removeAttribute("hidden");
}
