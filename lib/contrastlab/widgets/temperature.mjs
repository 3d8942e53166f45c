// The share of the push that each negative takes, as the temperature moves: the relative penalty r of Eq. 5.
// One file for every host: Jupyter mounts it through anywidget, the website through mount.js.

const [TAU_MIN, TAU_MAX] = [0.01, 10];
const BUTTON_RATIO = 10 ** 0.1; // ten presses a decade
const SHARE = 0.95; // of the push, for the shaded interval
const ANNOUNCE_AFTER = 600; // ms of rest before a screen reader hears the numbers
const GOAL = 0.5;
const SLIDER_KEYS = /^(Arrow|Page|Home|End)/;

export function relativePenalty(s, tau) {
  const hardest = s.reduce((a, b) => Math.max(a, b), -Infinity);
  const weight = s.map((x) => Math.exp((x - hardest) / tau)); // shifted by the maximum: never overflows
  const sum = weight.reduce((a, b) => a + b, 0);
  return weight.map((w) => w / sum);
}

export function entropy(r) {
  return r.reduce((H, share) => (share > 0 ? H - share * Math.log(share) : H), 0);
}

export function effectiveNegatives(r) {
  return Math.exp(entropy(r));
}

export function penaltyInterval(s, r, share = SHARE) {
  const lowestFirst = hardestFirst(s).reverse();
  let lowest = lowestFirst[0];
  let below = 0;
  for (const j of lowestFirst) {
    if (below > (1 - share) * (1 + 1e-6)) break; // the same sum and rounding margin as contrastlab.hardness
    lowest = j;
    below += r[j];
  }
  return s[lowest];
}

// colours: [tau, "#rrggbb"] pairs, tau ascending; between two of them the colour is mixed evenly over log tau.
export function tauColour(tau, colours) {
  if (!colours.length) return "currentColor";
  const above = colours.findIndex(([stop]) => stop >= tau);
  if (above <= 0) return colours.at(above)[1]; // at(0) is the coldest; at(-1), none above, the warmest
  const [[low, from], [high, to]] = [colours[above - 1], colours[above]];
  const part = Math.log(tau / low) / Math.log(high / low);
  const channel = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  const mixed = [0, 1, 2].map((i) => Math.round(channel(from, i) + part * (channel(to, i) - channel(from, i))));
  return "#" + mixed.map((value) => value.toString(16).padStart(2, "0")).join("");
}

function hardestFirst(s) {
  return s.map((_, j) => j).sort((a, b) => s[b] - s[a]);
}

function readModel(model) {
  const s = model.get("similarities");
  const tau = Number(model.get("tau"));
  const r = relativePenalty(s, tau);
  const order = hardestFirst(s);
  return {
    s, tau, r, order, K: s.length, labels: model.get("labels") ?? [],
    colour: tauColour(tau, model.get("colours") ?? []),
    entropy: entropy(r), effective: effectiveNegatives(r), interval: penaltyInterval(s, r), largest: r[order[0]],
  };
}

const percent = (share) => `${Number((100 * share).toPrecision(2))}\u00a0%`; // a space that does not break
const rounded = (x) => x.toFixed(2).replace("-", "−");

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

function node(parent, tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

const LEFT = 62, RIGHT = 12, TOP = 26, PLOT = 216, STRIP_TOP = 316, STRIP = 26, HEIGHT = 366;
const DECADES_BELOW_EVEN = 3;
const DOT = 4; // its radius with the outline

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

function drawAxes(svg, { floor, right, bottom, wide, x, y }) {
  for (let power = floor; power <= 0; power++) {
    const height = y(10 ** power);
    node(svg, "line", { x1: LEFT, x2: right, y1: height, y2: height, class: "grid" });
    node(svg, "text", { x: LEFT - 8, y: height + 4, "text-anchor": "end" }, `${Number((10 ** (power + 2)).toPrecision(1))} %`);
  }
  for (const s of [-1, -0.5, 0, 0.5, 1]) {
    node(svg, "line", { x1: x(s), x2: x(s), y1: bottom, y2: bottom + 5, class: "axis" });
    node(svg, "text", { x: x(s), y: bottom + 18, "text-anchor": s === 1 ? "end" : "middle" }, `${s}`.replace("-", "−"));
  }
  node(svg, "text", { x: 4, y: 13 }, "share of the push r, log scale");
  node(svg, "text", { x: LEFT + wide / 2, y: bottom + 36, "text-anchor": "middle" }, "similarity s of the negative to the anchor");
}

function drawReferences(svg, { right, y }, K) {
  const line = (height) => node(svg, "line", { x1: LEFT, x2: right, y1: height, y2: height, class: "reference" });
  const half = y(0.5), even = y(1 / K);
  line(half);
  node(svg, "text", { x: LEFT + 6, y: half - 5 }, "half the push");
  if (K === 1) return;
  line(even);
  const below = even - half < 14; // for two or three negatives, where above would lie on the other text
  node(svg, "text", { x: LEFT + 6, y: below ? even + 14 : even - 5 }, `even share, 1/K = ${percent(1 / K)}`);
}

function drawInterval(svg, { x, bottom, right }, { s, interval, order, colour }) {
  const from = x(interval) - DOT, to = x(s[order[0]]) + DOT; // so that a single negative has a band too
  node(svg, "rect", { x: from, y: TOP, width: to - from, height: PLOT, fill: colour, class: "interval" });
  node(svg, "path", { d: `M${from} ${TOP - 5}V${bottom}M${from} ${TOP - 5}H${to}v5`, class: "edge" });
  node(svg, "text", { x: right, y: 13, "text-anchor": "end" }, "95 % of the push");
}

function drawNegatives(svg, { floor, bottom, x, y }, { s, r, order, labels, colour }) {
  const rug = s.map((similarity) => `M${x(similarity).toFixed(1)} ${bottom}v-6`).join("");
  node(svg, "path", { d: rug, class: "rug" });
  const seen = order.filter((j) => r[j] >= 10 ** floor);
  const points = seen.map((j) => [x(s[j]).toFixed(1), y(r[j]).toFixed(1)]);
  node(svg, "polyline", { points: points.join(" "), class: "curve" });
  const dots = points.map(([px, py]) => `M${px} ${py}h0`).join("");
  node(svg, "path", { d: dots, class: "dots halo" });
  node(svg, "path", { d: dots, class: "dots", stroke: colour });
  drawLabels(svg, seen.map((j) => labels[j]), points);
}

function drawLabels(svg, texts, points) {
  let free = -Infinity; // texts go down the curve, hardest first, and skip where they would collide
  texts.forEach((text, i) => {
    const [px, py] = points[i].map(Number);
    if (!text || py < free) return;
    node(svg, "text", { x: px - 9, y: py - 3, "text-anchor": "end", class: "name" }, text);
    free = py + 15;
  });
}

function drawStrip(svg, { wide }, { r, order, colour }) {
  node(svg, "text", { x: 4, y: STRIP_TOP - 8 }, "the whole push, shared out: hardest negative first");
  const strip = { x: LEFT, y: STRIP_TOP, height: STRIP, fill: colour };
  node(svg, "rect", { ...strip, width: wide, class: "rest" });
  node(svg, "rect", { ...strip, width: wide * r[order[0]] });
  node(svg, "path", { d: seams(order.map((j) => wide * r[j])), class: "seam" });
  node(svg, "rect", { x: LEFT, y: STRIP_TOP, width: wide, height: STRIP, class: "frame" });
  for (const [part, text] of [[0, "0"], [0.5, "half"], [1, "100 %"]]) {
    const at = LEFT + part * wide;
    node(svg, "line", { x1: at, x2: at, y1: STRIP_TOP - (part === 0.5 ? 5 : 0), y2: STRIP_TOP + STRIP + 5, class: "axis" });
    node(svg, "text", { x: at, y: STRIP_TOP + STRIP + 18, "text-anchor": part === 1 ? "end" : "middle" }, text);
  }
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

function drawPicture(svg, state, width) {
  const scale = scales(state.K, width);
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren();
  drawAxes(svg, scale);
  drawInterval(svg, scale, state);
  drawReferences(svg, scale, state.K);
  drawNegatives(svg, scale, state);
  drawStrip(svg, scale, state);
}

const TRACK = "color-mix(in srgb, currentColor 40%, transparent)";
const THUMB = "width: 24px; height: 24px; border: 2px solid currentColor; border-radius: 50%; background: var(--tau-colour);";

// Lines and texts are in currentColor, and what carries the temperature's colour is outlined in it: both the deepest
// blue and the palest orange stay visible on a light and on a dark page.
const STYLE = `
.contrastlab-temperature {
  color: var(--jp-content-font-color1, inherit); max-width: 760px; min-width: 0; font-size: 15px; line-height: 1.45;
  & p { margin: 0 0 .5em; }
  & .task { font-weight: 600; }
  &[data-reached="true"] .task::after { content: " Reached."; }
  & .controls { display: grid; grid-template-columns: auto 1fr auto; gap: 0 .8em; align-items: center; }
  & button {
    width: 40px; height: 40px; padding: 0; border: 1px solid currentColor; border-radius: 6px; background: none;
    color: inherit; font: inherit; font-size: 20px; line-height: 1; cursor: pointer; touch-action: manipulation;
  }
  & input {
    appearance: none; width: 100%; min-width: 0; height: 40px; margin: 0; background: none; color: inherit;
    cursor: pointer; touch-action: pan-y;
  }
  & input::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: ${TRACK}; }
  & input::-moz-range-track { height: 4px; border-radius: 2px; background: ${TRACK}; }
  & input::-webkit-slider-thumb { appearance: none; margin-top: -10px; ${THUMB} }
  & input::-moz-range-thumb { ${THUMB} }
  & :is(button, input):focus-visible { outline: 3px solid currentColor; outline-offset: 2px; border-radius: 6px; }
  & .ticks { grid-column: 2; position: relative; height: 1.5em; margin: 0 12px; font-size: 12px; }
  & .ticks span { position: absolute; transform: translateX(-50%); }
  & svg { display: block; width: 100%; height: auto; margin: .6em 0; overflow: visible; font-size: 12px; }
  & svg text { fill: currentColor; }
  & :is(.grid, .axis, .reference, .edge, .rug, .curve, .halo, .seam, .frame) { stroke: currentColor; fill: none; }
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
  & .numbers { display: flex; flex-wrap: wrap; gap: .1em 1.4em; font-variant-numeric: tabular-nums; }
  & .spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
}
`;

const TICKS = ["0.01", "0.1", "1", "10"].map((tau, i) => `<span style="left: ${(100 * i) / 3}%">${tau}</span>`).join("");

const TEMPLATE = `
<style>${STYLE}</style>
<p class="task">Lower the temperature until one negative takes half the push.</p>
<div class="controls">
  <button type="button" aria-label="lower temperature">−</button>
  <input type="range" min="${Math.log10(TAU_MIN)}" max="${Math.log10(TAU_MAX)}" step="0.01" aria-label="temperature tau">
  <button type="button" aria-label="higher temperature">+</button>
  <div class="ticks" aria-hidden="true">${TICKS}</div>
</div>
<svg role="img"></svg>
<p class="numbers" aria-hidden="true"></p>
<p class="spoken" role="status" aria-live="polite" aria-atomic="true"></p>
`;

function show(root, state) {
  const texts = sentences(state);
  root.querySelector(".numbers").replaceChildren(...texts.map((text) => {
    const span = document.createElement("span");
    span.textContent = text;
    return span;
  }));
  const slider = root.querySelector("input");
  slider.value = Math.log10(state.tau);
  root.style.setProperty("--tau-colour", state.colour);
  slider.setAttribute("aria-valuetext", state.tau.toPrecision(3));
  const svg = root.querySelector("svg");
  svg.setAttribute("aria-label", `Share of the push of each negative against its similarity: ${texts.join(", ")}.`);
  drawPicture(svg, state, Math.max(280, root.clientWidth || 640));
  const { tau, entropy, effective, interval, r, largest } = state;
  Object.assign(root.dataset, { reached: largest >= GOAL, tau, entropy, effective, interval, r: JSON.stringify(r) });
  return texts.join(", ").replace("τ", "tau");
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "contrastlab-temperature";
  root.innerHTML = TEMPLATE;
  el.append(root);
  const spoken = root.querySelector(".spoken");
  let waiting, frame, width;

  const draw = () => {
    const text = show(root, readModel(model));
    spoken.textContent ||= text; // what is there from the start is not announced
    clearTimeout(waiting);
    if (text !== spoken.textContent) waiting = setTimeout(() => { spoken.textContent = text; }, ANNOUNCE_AFTER);
  };
  const move = (tau) => {
    const within = Math.min(TAU_MAX, Math.max(TAU_MIN, tau));
    model.set("tau", Number(within.toPrecision(3))); // three digits: what is read is what is computed
    try { model.save_changes(); } catch { /* a host without a kernel may refuse: the picture is right all the same */ }
    if (Number(root.dataset.tau) !== model.get("tau")) draw(); // for a host that does not report changes made here
  };
  const [minus, plus] = root.querySelectorAll("button");
  const slider = root.querySelector("input");
  minus.addEventListener("click", () => move(model.get("tau") / BUTTON_RATIO));
  plus.addEventListener("click", () => move(model.get("tau") * BUTTON_RATIO));
  slider.addEventListener("input", () => move(10 ** slider.value));
  slider.addEventListener("keydown", (event) => {
    if (SLIDER_KEYS.test(event.key)) event.stopPropagation(); // or JupyterLab takes the arrows to walk between cells
  });

  const events = ["tau", "similarities", "labels", "colours"].map((name) => `change:${name}`);
  for (const event of events) model.on(event, draw);
  const observer = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  });
  draw();
  observer.observe(root);

  return () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
    clearTimeout(waiting);
    for (const event of events) try { model.off(event, draw); } catch { /* as above */ }
    root.remove();
  };
}

export default { render };
