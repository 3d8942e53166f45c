// The share of the push that each negative takes, as the temperature moves: the relative penalty r of Eq. 5.
// One file for every host: Jupyter mounts it through anywidget, the website through mount.js.

import {
  announcer, baseStyle, keepDrawn, node, percent, place, rounded, showSentences, tauColour, tauControl, TAU_CONTROLS,
} from "./common.mjs";
import { effectiveNegatives, entropy, hardestFirst, penaltyInterval, relativePenalty } from "./mathematics.mjs";

const SHARE = 0.95; // of the push, for the shaded interval
const GOAL = 0.5;

function readModel(model) {
  const s = model.get("similarities");
  const tau = Number(model.get("tau"));
  const r = relativePenalty(s, tau);
  const order = hardestFirst(s);
  return {
    s, tau, r, order, K: s.length, labels: model.get("labels") ?? [],
    colour: tauColour(tau, model.get("colours") ?? []),
    entropy: entropy(r), effective: effectiveNegatives(r), interval: penaltyInterval(s, r, SHARE), largest: r[order[0]],
  };
}

function sentences({ tau, K, effective, entropy, interval, largest, labels, order }) {
  const name = labels[order[0]] ? ` (${labels[order[0]]})` : "";
  return [
    `temperature τ = ${tau.toPrecision(3)}`,
    `the hardest negative${name} takes ${percent(largest)}`,
    `effective negatives ${effective.toFixed(1)} of ${K}`,
    `entropy ${entropy.toFixed(2)} nats`,
    `95\u00a0% of the push on similarities of ${rounded(interval)} and above`,
  ];
}

const LEFT = 62, RIGHT = 12, TOP = 42, PLOT = 216, STRIP_TOP = 332, STRIP = 26, HEIGHT = 382;
const [TITLE_ROW, BRACKET_ROW, LIMIT_ROW] = [12, 17, 33]; // above the plot
const DECADES_BELOW_EVEN = 3;
const DOT = 4; // its radius with the outline
const NAME_WIDTH = 160; // of the limit's name, about

// Pixel coordinates: x of a similarity, y of a share (logarithmic), and the lowest power of ten shown.
function scales(K, width) {
  const floor = Math.floor(-Math.log10(K)) - DECADES_BELOW_EVEN;
  const wide = width - LEFT - RIGHT;
  return {
    floor, wide, right: width - RIGHT, bottom: TOP + PLOT,
    x: (s) => LEFT + (wide * (s + 1)) / 2,
    y: (share) => TOP + (PLOT * Math.log10(share)) / floor,
  };
}

function drawAxes(svg, { floor, right, bottom, wide, x, y }, { s }) {
  for (let power = floor; power <= 0; power++) {
    const height = y(10 ** power);
    node(svg, "line", { x1: LEFT, x2: right, y1: height, y2: height, class: "grid" });
    const share = `${Number((10 ** (power + 2)).toPrecision(1))} %`;
    node(svg, "text", { x: LEFT - 8, y: height + 4, "text-anchor": "end" }, share);
  }
  for (const s of [-1, -0.5, 0, 0.5, 1]) {
    node(svg, "line", { x1: x(s), x2: x(s), y1: bottom, y2: bottom + 5, class: "axis" });
    node(svg, "text", { x: x(s), y: bottom + 18, "text-anchor": s === 1 ? "end" : "middle" }, `${s}`.replace("-", "−"));
  }
  node(svg, "path", { d: s.map((each) => `M${x(each).toFixed(1)} ${bottom}v-6`).join(""), class: "rug" });
  node(svg, "text", { x: 4, y: TITLE_ROW }, "share of the push r, log scale");
  node(svg, "text", { x: right, y: TITLE_ROW, "text-anchor": "end" }, "95 % of the push");
  const title = "similarity s of the negative to the anchor";
  node(svg, "text", { x: LEFT + wide / 2, y: bottom + 36, "text-anchor": "middle" }, title);
}

// Half the push, and where the shares go: to an even one as the temperature rises, to the hardest as it falls to 0.
function drawReferences(svg, scale, { K, s, order }) {
  const { right, x, y } = scale, half = y(0.5), even = y(1 / K);
  const away = x(s[order[0]]) > LEFT + NAME_WIDTH ? { x: LEFT + 6 } : { x: right, "text-anchor": "end" };
  const line = (height, at, text) => {
    node(svg, "line", { x1: LEFT, x2: right, y1: height, y2: height, class: "reference" });
    node(svg, "text", { ...away, y: at }, text);
  };
  line(half, half - 5, "half the push");
  if (K === 1) return;
  const below = even - half < 14; // for two or three negatives, where above would lie on the other text
  line(even, below ? even + 14 : even - 5, `τ → ∞: even share, 1/K = ${percent(1 / K)}`);
  drawColdLimit(svg, scale, s, s[order[0]]);
}

function drawColdLimit(svg, { bottom, x, y }, s, hardest) {
  const at = x(hardest), ties = s.filter((each) => each === hardest).length;
  const name = ties === 1 ? "all on the hardest" : `1/${ties} on each of the ${ties} hardest`;
  const beside = at > LEFT + NAME_WIDTH ? { x: at - 10, "text-anchor": "end" } : { x: at + 10 };
  node(svg, "line", { x1: at, x2: at, y1: bottom, y2: y(1 / ties), class: "reference" });
  node(svg, "circle", { cx: at, cy: y(1 / ties), r: 2 * DOT, class: "limit" });
  node(svg, "text", { ...beside, y: LIMIT_ROW }, `τ → 0: ${name}`);
}

function drawStrip(svg, { wide }) {
  node(svg, "text", { x: 4, y: STRIP_TOP - 8 }, "the whole push, shared out: hardest negative first");
  node(svg, "rect", { x: LEFT, y: STRIP_TOP, width: wide, height: STRIP, class: "frame" });
  for (const [part, text] of [[0, "0"], [0.5, "half"], [1, "100 %"]]) {
    const at = LEFT + part * wide;
    const from = STRIP_TOP - (part === 0.5 ? 5 : 0);
    node(svg, "line", { x1: at, x2: at, y1: from, y2: STRIP_TOP + STRIP + 5, class: "axis" });
    node(svg, "text", { x: at, y: STRIP_TOP + STRIP + 18, "text-anchor": part === 1 ? "end" : "middle" }, text);
  }
}

// The nodes that move with the temperature, made once, in the order in which they cover each other.
function movingParts(svg) {
  const group = node(svg, "g", {});
  const made = (tag, name) => node(group, tag, { class: name });
  return {
    interval: made("rect", "interval"), edge: made("path", "edge"), curve: made("polyline", "curve"),
    halo: made("path", "dots halo"), dots: made("path", "dots"), names: made("g", "names"),
    rest: made("rect", "rest"), first: made("rect", "first"), seam: made("path", "seam"),
  };
}

function moveInterval({ interval, edge }, { x, bottom }, { s, interval: lowest, order, colour }) {
  const from = x(lowest) - DOT, to = x(s[order[0]]) + DOT; // so that a single negative has a band too
  place(interval, { x: from, y: TOP, width: to - from, height: PLOT, fill: colour });
  place(edge, { d: `M${from} ${TOP}V${bottom}M${from} ${BRACKET_ROW + 5}v-5H${to}v5` });
}

function moveNegatives({ curve, halo, dots, names }, { floor, x, y }, { s, r, order, labels, colour }) {
  const seen = order.filter((j) => r[j] >= 10 ** floor);
  const points = seen.map((j) => [x(s[j]).toFixed(1), y(r[j]).toFixed(1)]);
  const d = points.map(([px, py]) => `M${px} ${py}h0`).join("");
  place(curve, { points: points.join(" ") });
  place(halo, { d });
  place(dots, { d, stroke: colour });
  if (labels.length || names.firstChild) drawLabels(names, seen.map((j) => labels[j]), points);
}

function drawLabels(names, texts, points) {
  names.replaceChildren();
  let free = -Infinity; // texts go down the curve, hardest first, and skip where they would collide
  texts.forEach((text, i) => {
    const [px, py] = points[i].map(Number);
    if (!text || py < free) return;
    node(names, "text", { x: px - 9, y: py - 3, "text-anchor": "end" }, text);
    free = py + 15;
  });
}

function moveStrip({ rest, first, seam }, { wide }, { r, order, colour }) {
  const strip = { x: LEFT, y: STRIP_TOP, height: STRIP, fill: colour };
  place(rest, { ...strip, width: wide });
  place(first, { ...strip, width: wide * r[order[0]] });
  place(seam, { d: seams(order.map((j) => wide * r[j])) });
}

// A line between neighbours of the strip, left out where it would come so near the last one that they blur.
function seams(widths) {
  let at = LEFT, last = LEFT, d = "";
  for (const width of widths) {
    at += width;
    if (at - last < 2.5) continue;
    d += `M${at.toFixed(1)} ${STRIP_TOP}v${STRIP}`;
    last = at;
  }
  return d;
}

// A function that draws a state at a width. What no temperature moves stays as long as width and similarities do.
function pictureOn(svg) {
  let drawnWidth, drawnFor, scale, parts;
  return (state, width) => {
    if (width !== drawnWidth || state.s !== drawnFor) {
      [drawnWidth, drawnFor, scale] = [width, state.s, scales(state.K, width)];
      svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      svg.replaceChildren();
      parts = movingParts(svg);
      drawAxes(svg, scale, state);
      drawReferences(svg, scale, state);
      drawStrip(svg, scale);
    }
    moveInterval(parts, scale, state);
    moveNegatives(parts, scale, state);
    moveStrip(parts, scale, state);
  };
}

const TEMPERATURE_STYLE = `
.contrastlab-temperature {
  & :is(.grid, .axis, .reference, .limit, .edge, .rug, .curve, .halo, .seam, .frame) {
    stroke: currentColor; fill: none;
  }
  & .grid { opacity: .13; }
  & .reference { stroke-dasharray: 5 4; opacity: .75; }
  & .interval { opacity: .2; }
  & .edge { opacity: .75; }
  & .rug { opacity: .45; }
  & .curve { opacity: .6; }
  & .dots { fill: none; stroke-width: 6; stroke-linecap: round; }
  & .halo { stroke-width: 8; }
  & .rest { opacity: .45; }
  & .seam { opacity: .7; }
}
`;

const TEMPLATE = `
<style>${baseStyle("temperature")}${TEMPERATURE_STYLE}</style>
<p class="task">Lower the temperature until one negative takes half the push.</p>
${TAU_CONTROLS}
<svg role="img"></svg>
<p class="numbers" aria-hidden="true"></p>
<p class="spoken" role="status" aria-live="polite" aria-atomic="true"></p>
`;

function show(root, picture, state, width) {
  const texts = sentences(state);
  showSentences(root, texts);
  const label = `Share of the push of each negative against its similarity: ${texts.join(", ")}.`;
  place(root.querySelector("svg"), { "aria-label": label });
  picture(state, width);
  const { tau, entropy, effective, interval, r, largest } = state;
  Object.assign(root.dataset, { reached: largest >= GOAL, tau, entropy, effective, interval, r: JSON.stringify(r) });
  return texts.join(", ").replace("τ", "tau");
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "contrastlab-temperature";
  root.innerHTML = TEMPLATE;
  el.append(root);
  const say = announcer(root.querySelector(".spoken"));
  const picture = pictureOn(root.querySelector("svg"));
  const showTau = tauControl(model, root, () => {
    if (Number(root.dataset.tau) !== model.get("tau")) draw(); // for a host that does not report changes made here
  });
  let width;
  const lay = (wide) => { width = Math.max(280, wide); };
  const draw = () => {
    const state = readModel(model);
    showTau(state.tau, state.colour);
    say(show(root, picture, state, width));
  };
  const end = keepDrawn(model, root, ["tau", "similarities", "labels", "colours"], { lay, draw });
  return () => {
    say.stop();
    end();
  };
}

export default { render };
