// The loss of one anchor taken apart: points on the circle, their similarities, the softmax P, the loss of Eq. 1 and
// the force on each point. The trait `show` says what it is about: "loss" (chapter 2) or "forces" (chapter 3).

import { circleOn, turnable } from "./anatomy_circle.mjs";
import { number, share, size, termsIn } from "./anatomy_terms.mjs";
import {
  announcer, baseStyle, keepDrawn, place, rounded, save, showSentences, tauColour, tauControl, TAU_CONTROLS,
} from "./common.mjs";
import { circleForces, contrastiveLoss, probabilities, strongestPush } from "./mathematics.mjs";

const TASKS = {
  loss: "Drag a negative until the loss doubles.",
  forces: "Find the place of a negative where its push on the anchor is strongest.",
};
const STRONG_ENOUGH = 0.99; // of the strongest push
const BUTTON_STEP = 5; // degrees
const LARGEST = 380; // px, of the circle's picture

const radians = (degrees) => (degrees * Math.PI) / 180;
const similarities = (angles) => angles.slice(1).map((angle) => Math.cos(angle - angles[0]));
const placesOf = ({ anchor, positive, negatives }) => [anchor, positive, ...negatives];
const placesIn = (model) => placesOf({
  anchor: model.get("anchor"), positive: model.get("positive"), negatives: model.get("negatives"),
});
// Into (-180, 180], to a tenth of a degree: finer than a pixel, and short to read. Counted in whole tenths, which stay
// exact where sums of degrees would leave digits like 53.100000000000001.
const wrapped = (degrees) => {
  const tenths = Math.round(10 * (180 - degrees));
  return (1800 - (((tenths % 3600) + 3600) % 3600)) / 10;
};

function readModel(model) {
  const [tau, show, start] = ["tau", "show", "start"].map((name) => model.get(name));
  const degrees = placesIn(model), angles = degrees.map(radians), s = similarities(angles), K = s.length - 1;
  const state = {
    tau, show, start, degrees, angles, s, K, P: probabilities(s, tau), loss: contrastiveLoss(s, tau),
    forces: circleForces(angles, tau), weights: s.map((each) => Math.exp(each / tau)),
    names: degrees.map((_, i) => ["anchor", "positive"][i] ?? `negative ${i - 1}`),
    labels: degrees.map((_, i) => ["z", "z⁺"][i] ?? `${i - 1}`),
    colour: tauColour(tau, model.get("colours") ?? []),
  };
  const startLoss = contrastiveLoss(similarities(placesOf(start).map(radians)), tau);
  const reached = show === "loss" ? hasDoubled(state, startLoss) : hasStrongest(state);
  return { ...state, startLoss, reached };
}

// By a negative alone: anchor and positive stand where they stood.
function hasDoubled({ degrees, start, loss }, startLoss) {
  return degrees[0] === start.anchor && degrees[1] === start.positive && loss >= 2 * startLoss;
}

function hasStrongest({ degrees, start, s, forces, tau }) {
  return start.negatives.some((from, j) => {
    const i = j + 2; // among the points; in s, which has no anchor, it is i - 1
    if (degrees[i] === undefined || degrees[i] === from) return false;
    return Math.abs(forces[i]) >= STRONG_ENOUGH * strongestPush(s.filter((_, other) => other !== i - 1), tau);
  });
}

function headline({ show, P, loss, forces, angles }) {
  if (show === "loss") return `L = −log ${share(P[0])} = ${number(loss)}`;
  const towards = forces[0] * Math.sin(angles[1] - angles[0]) > 0;
  const where = towards ? ", towards z⁺" : ", away from z⁺";
  return `force on z: ${size(forces[0])}${size(forces[0]) === "0" ? "" : where}`;
}

function sentences(state) {
  const { tau, show, K, P, loss, startLoss, forces } = state;
  return [headline(state), `temperature τ = ${tau.toPrecision(3)}`, ...(show === "loss" ? [
    `at the start ${number(startLoss)}, twice that ${number(2 * startLoss)}`,
    `a blind guess costs log ${K + 1} = ${number(Math.log(K + 1))}`,
  ] : [
    `pull of the positive ${size(forces[1])}`, `pushes of the negatives ${forces.slice(2).map(size).join(", ")}`,
    `P of the positive ${share(P[0])}, loss ${number(loss)}`,
  ])];
}

const signed = (degrees) => `${degrees}`.replace("-", "−");

// What each point shows and says of itself.
function pointsOf({ degrees, show, s, P, forces, colour }, selected) {
  return degrees.map((angle, i) => {
    const alike = i ? `, similarity ${rounded(s[i - 1])}, share ${share(P[i - 1])}` : "";
    const way = forces[i] > 0 ? "counter-clockwise" : "clockwise";
    const force = show === "forces" ? `, force ${size(forces[i])} ${way}` : "";
    const text = `${signed(angle)} degrees${alike}${force}`;
    return {
      degrees: angle, text, selected: i === selected,
      fill: i ? colour : "currentColor", opacity: i ? P[i - 1] : 1,
    };
  });
}

const ANATOMY_STYLE = `
.contrastlab-anatomy {
  & .stage { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 280px), 1fr)); gap: 0 28px; }
  & .stage > * { min-width: 0; contain: layout style; }
  & .circle { max-width: ${LARGEST}px; width: 100%; justify-self: center; }
  & :is(.round, .axis, .shadow, .ring, .bar) { stroke: currentColor; fill: none; }
  & .round { opacity: .5; }
  & .axis { opacity: .35; }
  & .shadow { stroke-dasharray: 2 4; stroke-linecap: round; stroke-width: 1.5; opacity: .8; }
  & .paper { fill: var(--jp-layout-color0, var(--pst-color-background, Canvas)); }
  & .disc { stroke: currentColor; stroke-width: 1.5; }
  & .positive .disc { stroke-width: 4; }
  & .hit { fill: transparent; }
  & .ring { opacity: 0; }
  & .point { cursor: grab; touch-action: none; outline: none; }
  & .point:active { cursor: grabbing; }
  & .point[data-selected="true"] .ring { opacity: .6; stroke-dasharray: 3 3; }
  & .point:focus-visible { outline: none; & .ring { opacity: 1; stroke-width: 3; stroke-dasharray: none; } }
  & .point text { font-size: 14px; }
  & :is(.edge, .arrow) { pointer-events: none; stroke-linejoin: round; }
  & :is(.edge, .arrow:not(.first)) { fill: currentColor; stroke: currentColor; }
  & .arrow { stroke-width: 2; }
  & .edge { stroke-width: 6; opacity: 0; }
  & .first { stroke-width: 3; }
  &[data-show="forces"] :is(.axis, .shadow) { display: none; }
  &[data-show="forces"] .edge { opacity: 1; }
  &[data-show="loss"] .arrow { stroke-width: 1; opacity: .6; }
  & .turn { grid-template-columns: auto 1fr auto auto; margin: .2em 0 .8em; font-variant-numeric: tabular-nums; }
  & .turn .again { padding: 0 .7em; font-size: inherit; }
  & table {
    table-layout: fixed; width: 100%; margin: 0; border-collapse: collapse; font-size: 14px;
    font-variant-numeric: tabular-nums;
  }
  & :is(th, td) { padding: .25em .4em .25em 0; text-align: right; font-weight: normal; border: 0; background: none; }
  & th[scope="row"] { text-align: left; white-space: nowrap; }
  & thead th { font-size: 12px; }
  & tr > :last-child { padding-right: 0; }
  & .last :is(th, td) { border-top: 1px solid currentColor; }
  & thead > tr > :nth-child(1) { width: 25%; }
  & thead > tr > :nth-child(2) { width: 17%; }
  & thead > tr > :nth-child(3) { width: 29%; }
  & td:last-child { position: relative; }
  & td i { position: absolute; inset: .2em 0; opacity: .4; transform-origin: left; }
  & td span { display: block; position: relative; height: 1.45em; contain: strict; } /* laid out alone */
  & .last i { display: none; }
  & .numbers span:first-child { flex-basis: 100%; font-size: 21px; }
}
`;

const ANATOMY = `
<style>${baseStyle("anatomy")}${ANATOMY_STYLE}</style>
<p class="task"></p>
${TAU_CONTROLS}
<div class="stage">
  <div class="circle">
    <svg role="group" aria-label="Points on the unit circle; arrow keys turn the one in focus"></svg>
    <div class="controls turn">
      <button type="button">−</button><span></span><button type="button">+</button>
      <button type="button" class="again">start again</button>
    </div>
  </div>
  <div>
    <p class="numbers" aria-hidden="true"></p>
    <table></table>
  </div>
</div>
<p class="spoken" role="status" aria-live="polite" aria-atomic="true"></p>
`;

function show(root, state, selected) {
  place(root.querySelector(".task"), {}, TASKS[state.show]);
  const name = state.names[selected];
  place(root.querySelector(".turn span"), {}, `${name} at ${signed(state.degrees[selected])}°`);
  root.querySelectorAll(".turn button:not(.again)").forEach((button, way) => {
    place(button, { "aria-label": `turn ${name} ${["clockwise", "counter-clockwise"][way]}` });
  });
  const texts = sentences(state);
  showSentences(root, texts);
  const { tau, loss, reached, s, P, forces, degrees } = state;
  const [ofS, ofP, ofForces, ofDegrees] = [s, P, forces, degrees].map((list) => JSON.stringify(list));
  const data = { show: state.show, reached, tau, loss, s: ofS, p: ofP, forces: ofForces, degrees: ofDegrees };
  for (const [key, value] of Object.entries(data)) place(root, { [`data-${key}`]: value });
  return texts.join(", ").replace("τ", "tau");
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "contrastlab-anatomy";
  root.innerHTML = ANATOMY;
  el.append(root);
  const [svg, table, spoken] = ["svg", "table", ".spoken"].map((part) => root.querySelector(part));
  const say = announcer(spoken);
  const [drawCircle, drawTerms] = [circleOn(svg), termsIn(table)];
  let selected = 2, stale, size; // the first negative
  const lay = () => { size = Math.min(LARGEST, Math.max(240, svg.clientWidth)); };
  const draw = () => {
    const state = readModel(model);
    selected = Math.min(selected, state.K + 1); // Python may have taken negatives away
    state.points = pointsOf(state, selected);
    stale = false;
    showTau(state.tau, state.colour);
    drawCircle(state, size);
    drawTerms(state);
    say(show(root, state, selected));
  };
  const change = (values) => {
    stale = true;
    save(model, values);
    if (stale) draw(); // for a host that does not report changes made here
  };
  const degreesOf = (i) => placesIn(model)[i];
  const moveTo = (i, degrees) => {
    const to = wrapped(degrees);
    if (i < 2) change({ [["anchor", "positive"][i]]: to });
    else change({ negatives: model.get("negatives").map((old, j) => (j === i - 2 ? to : old)) });
  };
  const select = (i) => { if (i >= 0 && i !== selected) { selected = i; draw(); } };
  const showTau = tauControl(model, root, () => { if (Number(root.dataset.tau) !== model.get("tau")) draw(); });
  turnable(svg, { degreesOf, moveTo, select });
  const [minus, plus, again] = root.querySelectorAll(".turn button");
  minus.addEventListener("click", () => moveTo(selected, degreesOf(selected) - BUTTON_STEP));
  plus.addEventListener("click", () => moveTo(selected, degreesOf(selected) + BUTTON_STEP));
  again.addEventListener("click", () => change(model.get("start")));
  const names = ["tau", "anchor", "positive", "negatives", "show", "start", "colours"];
  const end = keepDrawn(model, root, names, { lay, draw });
  return () => {
    say.stop();
    end();
  };
}

export default { render };
