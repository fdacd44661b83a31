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

/* Controls */
fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
legend { padding: 0; }
fieldset.axis { display: grid; gap: 0.25rem; justify-items: end; }
fieldset.axis legend { border: 0; }
label { display: inline-flex; gap: 0.4rem; align-items: center; }
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
button:disabled { opacity: 0.5; cursor: default; }
button[aria-pressed="true"], button[aria-selected="true"] {
  background: color-mix(in srgb, currentColor 18%, transparent);
}
input[type="number"] { width: 4.2em; min-height: 2rem; padding: 0 0.3rem; }
input[type="range"] { accent-color: var(--x); border: 0; min-height: 1.5rem; }
input[type="checkbox"], input[type="radio"] { accent-color: var(--x); width: 1.1rem; height: 1.1rem; }
input[type="file"] { position: absolute; width: 1px; height: 1px; opacity: 0; }
.file { display: inline-flex; align-items: center; }
:focus-visible, .file:focus-within { outline: 2px solid var(--x); outline-offset: 1px; }

/* Matrices: one size of cell, smaller only where the page is too narrow. */
.matrix { margin: 0; display: grid; gap: 0.15rem; justify-items: center; max-width: 100%; }
.matrix table {
  border-collapse: collapse;
  /* A cell is 2.4 em: said once, since a size of its own for each of 256 cells takes long. */
  font-size: calc(min(var(--most, 2.3rem), var(--room, (100cqi - 0.5rem) / var(--columns))) / 2.4);
}
.matrix td {
  width: 2.4em;
  min-width: 2.4em;
  height: 2.4em;
  padding: 0;
  border: 1.5px solid var(--color);
  background: color-mix(in srgb, var(--color) calc(var(--lit, 0) * 34%), transparent);
  text-align: center;
  font-variant-numeric: tabular-nums;
}
.matrix td.dashed { border-style: dashed; }
.matrix td.mark { box-shadow: inset 0 0 0 2px currentColor; }
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
.matrix td > [aria-invalid="true"] { text-decoration: underline wavy; }
.wide { --most: 3.6rem; }
.wide td { height: 1.6em; }
.wide td > * { font-size: 0.55em; }
.fine td > * { font-size: 0.85em; }
.fine:not(.k) { --most: 1.85rem; }
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
.chart circle { fill: var(--color); }
.chart line { stroke: currentColor; opacity: 0.18; }
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
.layers input { width: 3.3em; }
.layers tr.lit { background: color-mix(in srgb, var(--k) 18%, transparent); }

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
.bars th { font-weight: 400; text-align: right; padding: 0 0.5rem 0 0; }
.bars td { padding: 0.1rem 0; text-align: right; font-variant-numeric: tabular-nums; min-width: 3.2rem; }
.bars .bar { width: min(9rem, 30cqi); text-align: left; }
.bars span { display: block; height: 0.8em; background: var(--y); }
.maps { display: grid; gap: 0.6rem; width: 100%; }
.maps, .maps figure { grid-template-columns: minmax(0, 1fr); }
.sheet {
  display: grid;
  grid-template-columns: repeat(var(--columns), 1fr);
  gap: 3px;
  max-width: 100%;
}
.sheet canvas { width: 100%; }

.hidden {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
@media print {
  .explorer { display: none; }
  slot { display: block; }
}
`;

export const sheet = new CSSStyleSheet();
sheet.replaceSync(css);
