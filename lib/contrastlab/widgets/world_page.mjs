// What the page of the world of points holds: its controls as HTML, its style, its sentences.

import { TAU_CONTROLS } from "./common.mjs";
import { hasTemperature } from "./world_flow.mjs";

const LOSSES = {
  contrastive: "contrastive", simple: "simple", hard_contrastive: "hard contrastive", hard_simple: "hard simple",
};

export const nameOf = ({ loss, tau }) => LOSSES[loss] + (hasTemperature(loss) ? `, τ = ${tau.toPrecision(3)}` : "");

function conditionOf(run, playing) {
  if (run.ended()) return run.atRest() ? "at rest" : "stopped, still moving";
  return playing ? "flowing" : "paused";
}

export function sentencesOf(run, playing) {
  return [
    `${nameOf(run.world)}: step ${run.steps}, ${conditionOf(run, playing)}`,
    `uniformity ${run.uniformity.toFixed(2)}`,
    `tolerance ${run.tolerance.toFixed(2)}`,
    `effective rank ${run.rank.toFixed(2)} of 3`,
    `length of the mean ${run.balance.toFixed(2)}`,
  ];
}

export const WORLD_STYLE = `
.contrastlab-world {
  & .run { display: flex; flex-wrap: wrap; gap: .5em .6em; align-items: center; margin: .4em 0; }
  & .choice { display: flex; gap: .6em; align-items: center; margin: 0 0 .3em; }
  & select {
    height: 40px; min-width: 0; padding: 0 .5em; border: 1px solid currentColor; border-radius: 6px; font: inherit;
    color: inherit; background: transparent;
  }
  & option { color: CanvasText; background: Canvas; }
  & .run button { padding: 0 .8em; font-size: 15px; }
  & .run .play { min-width: 6.6em; }
  & .seed { display: flex; gap: .5em; align-items: center; margin-left: auto; font-variant-numeric: tabular-nums; }
  & .run .seed button { padding: 0; font-size: 20px; }
  & :is(:disabled, [aria-disabled="true"]) { opacity: .4; cursor: default; }
  & .stage { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 20px; margin: .4em 0 .6em; }
  & canvas {
    display: block; width: 100%; max-width: 400px; margin: 0 auto; aspect-ratio: 1; cursor: grab; touch-action: pan-y;
  }
  & canvas:active { cursor: grabbing; }
  & svg { margin: 0; }
  & .grid { stroke: currentColor; opacity: .13; }
  & .axis { stroke: currentColor; opacity: .6; }
  & .value { font-weight: 650; font-variant-numeric: tabular-nums; }
  & :is(.curve, .before) { fill: none; stroke-linejoin: round; stroke-width: 2; }
  & .before { stroke-dasharray: 5 4; }
  & .dot { stroke: currentColor; }
  & :is(.narrow, .compact) { grid-template-columns: minmax(0, 1fr); gap: 6px; }
  & .narrow canvas { max-width: 310px; }
  & .compact + .controls { max-width: 460px; margin: 0 auto; }
  & .compact ~ .run { justify-content: center; }
  & .numbers { margin: 0; }
  & .numbers span:first-child { flex-basis: 100%; }
  & .legend { font-size: 13px; margin: .4em 0 0; }
}
`;

const options = Object.entries(LOSSES).map(([value, name]) => `<option value="${value}">${name}</option>`).join("");
const PLAY = `<button type="button" class="play">Pause</button>`;
const CANVAS = `
<canvas tabindex="0" role="slider" aria-label="turn of the sphere, in degrees" aria-valuemin="0" aria-valuemax="359">
</canvas>`;
const SPOKEN = `<p class="spoken" role="status" aria-live="polite" aria-atomic="true"></p>`;

export const FULL_PAGE = `
<p class="task">Find a loss that comes to rest while the four classes are still bunches.</p>
<label class="choice by-hand">Loss <select>${options}</select></label>
${TAU_CONTROLS}
<div class="stage">${CANVAS}<svg role="img"></svg></div>
<div class="run by-hand">
  ${PLAY}<button type="button" class="step">Step</button><button type="button" class="reset">Reset</button>
  <span class="seed">
    <button type="button" aria-label="previous seed">−</button><span>seed <output></output></span>
    <button type="button" aria-label="next seed">+</button>
  </span>
</div>
<p class="numbers" aria-hidden="true"></p>
<p class="legend">Shape and colour: the class, which the loss does not see. From the centre: the mean vector.
<span class="by-hand">Drag, or use the arrow keys, to turn the sphere.</span></p>
${SPOKEN}`;

export const COMPACT_PAGE = `
<p class="task">Change the temperature: the points start again.</p>
<div class="stage compact">${CANVAS}</div>
${TAU_CONTROLS}
<div class="run by-hand">${PLAY}</div>
${SPOKEN}`;
