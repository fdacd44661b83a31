/** The look of all explorers: that of the drawings, in the text colour of the page, light or dark. */

const css = `
:host {
  --x: #2b83ba;
  --k: #d9730d;
  --y: #2a9d6f;
  display: block;
  container-type: inline-size;
  font-size: 0.9375rem;
  line-height: 1.4;
  text-align: left;
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
slot { display: none; }
.explorer {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 0.9rem;
  justify-items: center;
}
.row { display: flex; flex-wrap: wrap; gap: 0.6rem 1rem; align-items: center; justify-content: center; }
.note {
  margin: 0;
  min-height: 1.4em;
  max-width: 100%;
  text-align: center;
  font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
}
.note:empty { display: none; }
.lines { white-space: pre-line; }
.sign { font-size: 1.4em; }
.term { display: flex; gap: 0.6rem; align-items: center; max-width: 100%; }
.result { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.9rem; justify-items: center; width: 100%; }
.beside > .result { width: auto; }
.result.stays {
  position: sticky;
  top: var(--header-height, 0); /* that of the site's own bar */
  z-index: 1;
  padding-block: 0.4rem;
  background: var(--color-background-primary, Canvas);
  border-bottom: 1px solid color-mix(in srgb, currentColor 35%, transparent);
}

/* Controls */
fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
legend { padding: 0; }
fieldset.axis { display: grid; gap: 0.25rem; justify-items: end; }
fieldset.axis legend { border: 0; }
label { display: inline-flex; gap: 0.4rem; align-items: center; }
.number { display: inline-flex; flex-wrap: wrap; gap: 0 0.4rem; align-items: center; justify-content: end; }
.stepper { display: inline-flex; }
.stepper button { min-width: 2rem; padding: 0; }
.stepper button:first-child { border-start-end-radius: 0; border-end-end-radius: 0; }
.stepper button:last-child { border-start-start-radius: 0; border-end-start-radius: 0; }
.stepper input { width: 2.6em; min-height: 2rem; padding: 0; border-inline: 0; border-radius: 0; text-align: center; }
.refused { flex-basis: 100%; margin: 0; font-size: 0.875em; text-align: end; }
.refused:empty { display: none; }
.matrix .refused { text-align: center; }
[aria-invalid="true"] { text-decoration: underline wavy; }
button, select, input, .link, .file {
  font: inherit;
  color: inherit;
  background: transparent;
  border: 1px solid color-mix(in srgb, currentColor 55%, transparent);
  border-radius: 0.25rem;
}
button, select, .link, .file {
  min-height: 2rem;
  padding: 0.15rem 0.6rem;
  cursor: pointer;
}
select { background: var(--color-background-primary, Canvas); }
.link { display: inline-flex; align-items: center; border-color: transparent; text-decoration: underline; }
button:hover, .link:hover, .file:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
button:disabled, button[aria-disabled="true"] { opacity: 0.5; cursor: default; }
button[aria-pressed="true"], button[aria-selected="true"] {
  background: color-mix(in srgb, currentColor 18%, transparent);
}
input[type="range"] { accent-color: var(--x); border: 0; min-height: 1.5rem; }
input[type="checkbox"], input[type="radio"] { accent-color: var(--x); width: 1.1rem; height: 1.1rem; }
input[type="file"] { position: absolute; width: 1px; height: 1px; opacity: 0; }
.file { display: inline-flex; align-items: center; }
:focus-visible, .file:focus-within { outline: 2px solid var(--x); outline-offset: 1px; }

/* Matrices: one size of cell, wider for long numbers, smaller only where the page is too narrow. */
.matrix { margin: 0; display: grid; gap: 0.15rem; justify-items: center; max-width: 100%; }
.matrix table {
  border-collapse: collapse;
  table-layout: fixed;
  width: calc(1em * var(--width));
  /* The widths are in em: said once, since a size of its own for each of 256 cells takes long. */
  font-size: min(var(--most, 2.3rem) / 2.4, var(--room, (100cqi - 0.5rem) / var(--width)));
}
.matrix td {
  height: 2.4em;
  padding: 0;
  border: 1.5px solid var(--color);
  background: color-mix(in srgb, var(--color) calc(var(--lit, 0) * 34%), transparent);
  text-align: center;
  font-variant-numeric: tabular-nums;
}
.matrix td.dashed { border-style: dashed; }
.matrix td.mark { outline: 2px solid currentColor; outline-offset: -3px; }
.matrix td > * {
  display: block;
  width: 100%;
  height: auto;
  min-height: 0;
  line-height: 2.2; /* a grid in each cell, to centre its number, takes twice the time */
  padding: 0;
  border: 0;
  border-radius: 0;
  font-size: inherit;
  text-align: center;
}
.matrix td > :focus-visible { outline-offset: -3px; outline-color: currentColor; }
.fine { --most: 1.75rem; }
.x { --color: var(--x); }
.k { --color: var(--k); }
.y { --color: var(--y); }
.name { font-weight: 600; border-bottom: 3px solid var(--color); }

/* Channels: an image and its kernel stay side by side on a phone. */
.pairs { --room: calc((100cqi - 6rem) / var(--both)); display: grid; gap: 0.6rem; justify-items: end; }
.pair { display: flex; gap: 0.6rem; align-items: center; }

/* Pooling: small numbers on strong colours, and the windows' edges across the picture. */
.outputs { display: flex; flex-wrap: wrap; gap: 0.6rem 1rem; justify-content: center; }
.pooling { --most: 1.6rem; }
.pooling td {
  background: color-mix(in srgb, var(--color) calc(var(--lit, 0) * 60%), transparent);
}
.pooling canvas {
  width: min(100cqi, var(--columns) * 0.75rem);
  background: color-mix(in srgb, var(--color) 8%, transparent);
  image-rendering: auto;
}
.movable table { position: relative; }
.movable table, .movable canvas, .movable button { touch-action: pan-y; cursor: grab; }
.tiled::after {
  content: "";
  position: absolute;
  inset: -1px;
  pointer-events: none;
  background:
    linear-gradient(to right, currentColor 2px, transparent 0) 0 0 /
      calc(100% / var(--columns) * var(--strides)) 100%,
    linear-gradient(currentColor 2px, transparent 0) 0 0 /
      100% calc(100% / var(--rows) * var(--strides));
  box-shadow: inset -2px -2px currentColor;
}
@container (min-width: 40rem) {
  .outputs { display: grid; }
  .pooling { --most: 2rem; }
}
@container (max-width: 30rem) {
  .beside { display: contents; }
  .outputs { flex-wrap: nowrap; }
  .outputs table { --room: calc((50cqi - 1.7rem) / var(--width)); }
  .pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 0.6rem; align-items: start; }
  .layers .stepper { display: grid; grid-template: "number number" "less more" / 1fr 1fr; }
  .layers .stepper input { grid-area: number; width: 100%; border: 1px solid; border-block-end: 0; }
  .layers td, .layers th { padding-inline: 0.1rem; }
}

/* Pictures */
canvas {
  display: block;
  max-width: 100%;
  image-rendering: pixelated;
  border: 1px solid color-mix(in srgb, currentColor 35%, transparent);
}
figure { margin: 0; display: grid; gap: 0.25rem; justify-items: center; }
figcaption { text-align: center; }
svg { display: block; max-width: 100%; overflow: visible; }
svg text { fill: currentColor; font-size: 12px; }
.chart { width: 21rem; font-variant-numeric: tabular-nums; }
.chart polyline { fill: none; stroke: var(--color); stroke-width: 1.75px; }
.chart .pointed polyline { stroke-width: 4px; }
.chart .pointed text { font-weight: 700; }
.chart circle { fill: var(--color); }
.chart line { stroke: currentColor; opacity: 0.18; }
.chart g:not(.axes) line { opacity: 0.6; }
.chart .wanted { stroke-dasharray: 3 3; opacity: 0.5; }
.pixels { position: relative; max-width: 100%; }
.pixels canvas { touch-action: pan-y; } /* a finger can point, and still scroll the page */
.pixels > svg { position: absolute; inset: 1px; width: calc(100% - 2px); height: calc(100% - 2px); pointer-events: none; }
.pixels rect { fill: none; stroke: #000; stroke-width: 1.25px; vector-effect: non-scaling-stroke; }
.pixels .bright { stroke: #fff; stroke-width: 3px; }
.pixels .chosen rect { stroke: var(--k); stroke-width: 2.5px; }
.pixels .chosen .bright { stroke: #fff; stroke-width: 4.5px; fill: color-mix(in srgb, var(--k) 25%, transparent); }
.small { font-size: 0.875em; }
table.layers { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.layers th { padding: 0.1rem 0.3rem; font-weight: 600; font-size: 0.875em; }
.layers td { padding: 0.15rem; text-align: center; min-width: 2.2em; }
.layers .stepper input { width: 2em; }
.layers .stepper button { min-width: 1.6rem; }
.layers tr.lit { background: color-mix(in srgb, var(--k) 18%, transparent); }

/* Training */
.settings {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(10rem, 50% - 0.5rem), 1fr));
  gap: 0.5rem 1rem;
  width: 100%;
}
.settings > * { display: grid; gap: 0.1rem; align-content: start; justify-content: stretch; }
.settings > :first-child { grid-column: 1 / -1; justify-self: center; width: min(20rem, 100%); }
.settings select { width: 100%; min-width: 0; }
.settings .stepper { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; }
.settings .stepper input { width: 100%; }
.settings .refused { text-align: start; }
.runs { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.875em; max-width: 100%; }
.runs th, .runs td { padding: 0.1rem 0.4rem; text-align: right; white-space: nowrap; }
.runs th:first-child { text-align: left; white-space: normal; font-weight: 400; }
.runs thead th { font-weight: 600; }
.runs button { min-height: 1.5rem; min-width: 1.5rem; padding: 0; }
.sample { display: inline-block; flex: none; width: 30px; height: 12px; }
.sample line { stroke: var(--color); stroke-width: 2px; }
.chart .faint, .chart .end {
  paint-order: stroke;
  stroke: var(--color-background-primary, Canvas);
  stroke-width: 3px;
}
.chart .faint { fill-opacity: 0.7; }
.sentence { min-height: 2.8em; }
@container (max-width: 30rem) { .sentence { min-height: 4.2em; } }
.chart .recorded { --color: currentColor; opacity: 0.35; }
.chart .recorded polyline { stroke-width: 4px; }
.inside { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.6rem; justify-items: center; width: 100%; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; justify-content: center; }
.legend span { display: inline-flex; gap: 0.3rem; align-items: center; }
.measures { display: flex; flex-wrap: wrap; gap: 0.6rem; justify-content: center; width: 100%; }
.kernels { display: flex; gap: 3px; }
.kernels canvas { width: 2.4rem; }
.inside .thumbnails canvas { width: min(2rem, 10cqi - 7px); }
.watched { width: 7rem; }
.watched ~ .bars tr { cursor: auto; }
.watched ~ .bars tr:hover { background: none; }

/* LeNet */
.thumbnails { display: flex; flex-wrap: wrap; gap: 2px; justify-content: center; }
.thumbnails label { border: 2px solid transparent; border-radius: 0.2rem; cursor: pointer; }
.thumbnails label:has(:checked) { border-color: var(--x); }
.thumbnails label:has(:focus-visible) { outline: 2px solid currentColor; }
.thumbnails canvas { width: 2rem; }
.thumbnails legend { text-align: center; width: 100%; }
.pad { position: relative; }
.pad canvas { cursor: crosshair; touch-action: none; }
.cursor {
  position: absolute;
  width: calc(100% / 28);
  height: calc(100% / 28);
  outline: 2px solid var(--k);
  pointer-events: none;
}
.bars { border-collapse: collapse; font-size: 0.875em; }
.bars tr { cursor: pointer; }
.bars tr:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
.bars th { font-weight: 400; text-align: right; padding: 0 0.5rem 0 0; }
.bars .best { font-weight: 600; }
.bars th button { min-height: 0; padding: 0 0.25rem; border: 0; font-weight: inherit; }
.bars td { padding: 0.1rem 0; font-variant-numeric: tabular-nums; }
.bars .bar { width: min(9rem, 26cqi); }
.bars .percent { min-width: 3.4rem; text-align: right; }
.bars .marks { min-width: 6.2rem; padding-left: 0.6rem; }
.bars span { display: block; height: 0.8em; background: var(--y); }
.maps { display: grid; gap: 0.9rem; width: 100%; }
.maps, .maps figure, .opened, .opened > figure { grid-template-columns: minmax(0, 1fr); }
.sheet {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(0, min(var(--side), 100%)));
  gap: 3px;
  justify-content: center;
  width: 100%;
  max-width: var(--most);
}
.map, .slice { display: block; width: 100%; padding: 0; border: 0; border-radius: 0; min-height: 0; min-width: 0; background: none; }
.map { cursor: crosshair; }
.map .pixels, .map canvas { width: 100%; }
.sheet .kernel { width: 100%; margin-bottom: 2px; cursor: pointer; }
.sheet > * { align-self: start; }

/* LeNet: the number that is opened */
.opened {
  display: grid;
  gap: 0.7rem;
  justify-items: center;
  width: 100%;
  padding: 0.7rem 0;
  border: solid color-mix(in srgb, currentColor 55%, transparent);
  border-width: 1px 0;
}
.opened > figure { width: 100%; }
.opened > .row { width: 100%; scroll-margin-top: 5rem; }
.opened .words { display: grid; gap: 0.4rem; justify-items: start; flex: 1 1 12rem; }
.opened .words .note { text-align: left; }
.opened .words > :first-child { font-weight: 600; }
.opened canvas[role] { cursor: crosshair; }
.sources { display: flex; flex-wrap: wrap; gap: 0.6rem; justify-content: center; }
.source { display: grid; gap: 3px; width: 5.2rem; align-content: start; }
.many .source { width: 3.4rem; }
.source:only-child { width: 10.5rem; }
.slice canvas { width: 100%; }
.slice span { display: block; font-size: 0.875em; font-variant-numeric: tabular-nums; }
.slice[aria-pressed="true"] { outline: 2px solid var(--k); outline-offset: 1px; background: none; }
.numbers { display: flex; flex-wrap: wrap; gap: 0.6rem 1rem; justify-content: center; max-width: 100%; }
.numbers .matrix { --most: 1.7rem; }
@media (hover: none) { .opened .keys { display: none; } }
.list {
  display: flex;
  flex-wrap: wrap;
  gap: 0.3rem;
  justify-content: center;
  margin: 0;
  padding: 0;
  list-style: none;
  font-size: 0.875em;
  font-variant-numeric: tabular-nums;
}
@media (forced-colors: active) {
  .bars span { background: Highlight; forced-color-adjust: none; }
  .bars .best { text-decoration: underline; }
  .thumbnails label { border-color: Canvas; }
  .thumbnails label:has(:checked) { border-color: Highlight; }
  .cursor, .slice[aria-pressed="true"] { outline-color: Highlight; }
}

.hidden {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
/* What colours say, lines say too where the system sets the colours. */
@media (forced-colors: active) {
  .matrix td.lit { outline: 3px solid Highlight; outline-offset: -3px; }
  .matrix td.mark { outline: 3px dashed CanvasText; outline-offset: -3px; }
  .matrix td.lit.mark { outline: 3px dashed Highlight; }
  .layers tr.lit { outline: 2px solid Highlight; }
  .name { border-bottom-color: CanvasText; }
  button:disabled, button[aria-disabled="true"] { opacity: 1; color: GrayText; border-color: GrayText; }
  .tiled::after { forced-color-adjust: none; color: CanvasText; }
}
@media print {
  .explorer { display: none; }
  slot { display: block; }
}
`;

export const sheet = new CSSStyleSheet();
sheet.replaceSync(css);
