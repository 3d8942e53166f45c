// The page of the figure of chapter 7: its parts in the order of the keyboard, and how they look.

import { baseStyle } from "./common.mjs";

export const GAP = 16; // px between the columns of a wide page

const PAGE = "var(--pst-color-background, var(--jp-layout-color0, Canvas))";

const LAYOUT = `
.contrastlab-ten-temperatures {
  & .stage {
    display: grid; grid: "map" "classes" "one" "near" / minmax(0, 1fr); gap: .6em ${GAP}px; margin-top: .6em;
  }
  &[data-wide="true"] .stage { grid: "map one" auto "map near" auto "map classes" 1fr / auto minmax(0, 1fr); }
  & .map { grid-area: map; position: relative; justify-self: center; cursor: pointer; }
  & .map canvas, & .map svg { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; }
  & .map line { stroke: currentColor; opacity: .6; }
  & .map circle { fill: none; stroke: currentColor; stroke-width: 1.2; }
  & .map .chosen { stroke-width: 3; }
  & .map .other { stroke-dasharray: 3 3; }
  & .map .name {
    paint-order: stroke; stroke: ${PAGE}; stroke-width: 4px; stroke-linejoin: round; font-weight: 600;
  }
  & .one { grid-area: one; display: grid; grid-template-columns: auto 1fr auto auto; gap: .6em; align-items: center; }
  & .one b { display: block; }
  & .picture {
    width: var(--size); height: var(--size); border-radius: 3px; background-color: #000; print-color-adjust: exact;
    outline: 2px solid currentColor; outline-offset: 1px;
  }
  & .one .picture { --size: 64px; margin: 3px; }
  & .nearest { grid-area: near; }
  & .nearest ol {
    --size: 46px; display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: .6em 0; margin: 0; padding: 0;
    list-style: none; font-size: 11px; line-height: 1.25; text-align: center; font-variant-numeric: tabular-nums;
  }
  & .nearest li { margin: 0; min-width: 0; }
  & .nearest li .picture { margin: 3px auto 5px; }
  & .nearest li span { display: block; white-space: nowrap; letter-spacing: -.02em; }
  & .nearest .other .picture { outline-style: dashed; }
  & .nearest .other span:first-of-type::before { content: "≠ "; font-weight: 700; }
  & .classes {
    grid-area: classes; display: flex; flex-wrap: wrap; align-content: end; gap: .1em .9em; margin: 0; padding: 0;
    list-style: none;
  }
  & .classes li { display: flex; gap: .35em; align-items: center; margin: 0; font-size: 12px; }
  & .classes i { box-sizing: border-box; width: 9px; height: 9px; border: 2px solid var(--colour); border-radius: 50%; }
  & .classes .disc i { background: var(--colour); print-color-adjust: exact; }
  & .plots { display: grid; gap: 0 ${GAP}px; }
  &[data-wide="true"] .plots { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  & .plots .title { font-weight: 600; }
  & .plots .grid { stroke: currentColor; opacity: .13; }
  & .plots .axis { stroke: currentColor; }
  & .plots .same { fill-opacity: .55; }
  & .plots .different { fill: none; stroke: currentColor; stroke-width: 1.5; }
  & .plots .mean { stroke: currentColor; stroke-dasharray: 2 3; }
  & .plots .path { fill: none; stroke: currentColor; opacity: .3; }
  & .plots .range { fill: none; stroke: currentColor; stroke-width: 1.5; opacity: .6; }
  & .plots .dot { stroke: currentColor; }
  & .plots .only { visibility: hidden; }
  & .plots .current { font-weight: 700; font-size: 14px; visibility: visible; }
  & .method { font-size: 13px; opacity: .85; }
  &[data-narrow="true"] .ticks span:nth-child(odd) { display: none; }
}
`;

const CONTROLS = `
<div class="controls">
  <button type="button" aria-label="lower temperature">−</button>
  <input type="range" min="0" step="1" aria-label="temperature tau">
  <button type="button" aria-label="higher temperature">+</button>
  <div class="ticks" aria-hidden="true"></div>
</div>`;

export const TEMPLATE = `
<style>${baseStyle("ten-temperatures")}${LAYOUT}</style>
<p class="task">Find the temperature at which the chosen image has the most neighbours of its own class.</p>
${CONTROLS}
<div class="stage">
  <div class="map" tabindex="0" role="slider" aria-label="image on the map" aria-valuemin="0">
    <canvas aria-hidden="true"></canvas><svg aria-hidden="true"></svg>
  </div>
  <ul class="classes" aria-label="classes"></ul>
  <div class="one">
    <div class="picture"></div><div><b></b><span></span></div>
    <button type="button" aria-label="previous image">‹</button>
    <button type="button" aria-label="next image">›</button>
  </div>
  <div class="nearest"><p></p><ol aria-label="nearest neighbours"></ol></div>
</div>
<div class="plots"><svg role="img"></svg><svg role="img"></svg><svg role="img"></svg></div>
<p class="numbers" aria-hidden="true"></p>
<p class="method"></p>
<p class="spoken" role="status" aria-live="polite" aria-atomic="true"></p>
`;
