// What every interactive figure shares: the book's colours, SVG, the slider of a temperature, speech, and its life in a
// host. On the website a figure imports this file; for Jupyter, figure.py puts it in the import's place.

export const [TAU_MIN, TAU_MAX] = [0.01, 10];
// The style that these figures share with matplotlib's, in CSS pixels on the page; figures.py reads it here.
export const STYLE = {"text": 12, "title": 13, "line": 2};
const BUTTON_RATIO = 10 ** 0.1; // ten presses a decade
const USUAL_WIDTH = 640; // px
const ANNOUNCE_AFTER = 600; // ms of rest before a screen reader hears the numbers
const SLIDER_KEYS = /^(Arrow|Page|Home|End)/;
export const CHOICE_KEYS = /^(Arrow|Page|Home|End|[a-z ]$)/i; // letters too: they find a choice by its name

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

export const percent = (share) => `${Number((100 * share).toPrecision(2))}\u00a0%`; // a space that does not break
export const rounded = (x) => x.toFixed(2).replace("-", "−");

export function node(parent, tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  place(element, attributes, text);
  parent.append(element);
  return element;
}

// Attributes and text of a node that stays while its figure moves. Only what differs is written: a browser lays out and
// paints again whatever was.
export function place(element, attributes, text) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== `${value}`) element.setAttribute(name, value);
  }
  if (text !== undefined && element.textContent !== text) element.textContent = text;
}

// Values of the model that were changed here: kept, told to Python where there is a Python, and true at once.
export function save(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  try { model.save_changes(); } catch { /* a host without a kernel may refuse: the picture is right all the same */ }
}

// A function that says a text to a screen reader, once it has rested for a while. The first text is not announced.
export function announcer(element) {
  let waiting;
  const say = (text) => {
    element.textContent ||= text;
    clearTimeout(waiting);
    if (text !== element.textContent) waiting = setTimeout(() => { element.textContent = text; }, ANNOUNCE_AFTER);
  };
  return Object.assign(say, { stop: () => clearTimeout(waiting) });
}

// What says in a sentence, to a screen reader that comes to the element, what its drawing shows.
export function descriptionOf(element) {
  const text = Object.assign(document.createElement("p"), { hidden: true });
  text.id = `contrastlab-${Math.random().toString(36).slice(2)}`; // a page may hold a figure several times
  element.setAttribute("aria-describedby", text.id);
  element.after(text);
  return (sentence) => place(text, {}, sentence);
}

// Lays out and draws, now and whenever the figure's width changes, and draws whenever one of the model's values does.
// `lay` alone asks for sizes: asked for in `draw`, they make the browser lay out twice a move. Returns what ends it.
export function keepDrawn(model, root, names, { lay, draw }) {
  const events = names.map((name) => `change:${name}`);
  let frame, width;
  const drawAll = () => {
    width = root.clientWidth;
    lay(width || USUAL_WIDTH); // a figure that is not shown has none
    draw();
  };
  const observer = new ResizeObserver(() => {
    cancelAnimationFrame(frame);
    if (root.clientWidth !== width) frame = requestAnimationFrame(drawAll);
  });
  drawAll();
  for (const event of events) model.on(event, draw);
  observer.observe(root);
  return () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
    for (const event of events) try { model.off(event, draw); } catch { /* a host without a kernel may refuse */ }
    root.remove();
  };
}

const THEME = { attributeFilter: ["data-theme", "data-jp-theme-light"] }; // of the site, of JupyterLab

// Draws when the page's theme may have changed, or the page goes to paper: a canvas does not follow its colours by
// itself. Returns what ends it.
export function followTheme(draw) {
  const observer = new MutationObserver(draw), media = ["(prefers-color-scheme: dark)", "print"].map(matchMedia);
  for (const element of [document.documentElement, document.body]) observer.observe(element, THEME);
  for (const query of media) query.addEventListener("change", draw);
  return () => {
    observer.disconnect();
    for (const query of media) query.removeEventListener("change", draw);
  };
}

const LABELS = ["0.01", "0.1", "1", "10"];
const TICKS = LABELS.map((tau, i) => `<span style="left: ${(100 * i) / 3}%">${tau}</span>`).join("");

// The controls of a temperature from 0.01 to 10: a slider between − and +, as HTML; tauControl makes it work.
export const TAU_CONTROLS = `
<div class="controls">
  <button type="button" aria-label="lower temperature">−</button>
  <input type="range" min="${Math.log10(TAU_MIN)}" max="${Math.log10(TAU_MAX)}" step="0.01"
    aria-label="temperature tau">
  <button type="button" aria-label="higher temperature">+</button>
  <div class="ticks" aria-hidden="true">${TICKS}</div>
</div>`;

// Connects the controls in root with the model's tau: each move is kept by `change`, `save` where a figure needs no
// other, and followed by `moved`. Returns what shows a temperature.
export function tauControl(model, root, moved, change = (values) => save(model, values)) {
  const move = (tau) => {
    const within = Math.min(TAU_MAX, Math.max(TAU_MIN, tau));
    change({ tau: Number(within.toPrecision(3)) }); // three digits: what is read is what is computed
    moved();
  };
  const [minus, plus] = ["lower", "higher"].map((which) => root.querySelector(`[aria-label="${which} temperature"]`));
  const slider = root.querySelector('[aria-label="temperature tau"]');
  minus.addEventListener("click", () => move(model.get("tau") / BUTTON_RATIO));
  plus.addEventListener("click", () => move(model.get("tau") * BUTTON_RATIO));
  slider.addEventListener("input", () => move(10 ** slider.value));
  keepKeys(slider);
  return (tau, colour) => {
    slider.value = Math.log10(tau);
    slider.setAttribute("aria-valuetext", tau.toPrecision(3));
    slider.style.setProperty("--tau-colour", colour); // not on root, all of which would then be styled anew
  };
}

// Keys that an element uses itself stay with it, or JupyterLab takes the arrows to walk between cells, and letters as
// its commands. What is pressed together with Ctrl or Meta is for the host.
export function keepKeys(element, keys = SLIDER_KEYS) {
  element.addEventListener("keydown", (event) => {
    if (keys.test(event.key) && !event.ctrlKey && !event.metaKey) event.stopPropagation();
  });
}

// Lets one pointer at a time, the mouse by its main button, drag: `grab` gives what an event takes hold of, undefined
// if nothing, and `drag` follows each move with that.
export function draggable(element, grab, drag) {
  let held, pointer;
  element.addEventListener("pointerdown", (event) => {
    if (held || event.button) return;
    held = grab(event);
    if (!held) return;
    pointer = event.pointerId;
    element.setPointerCapture(pointer);
  });
  element.addEventListener("pointermove", (event) => {
    if (held && event.pointerId === pointer) drag(event, held);
  });
  element.addEventListener("lostpointercapture", (event) => { // comes after pointerup and pointercancel too
    if (event.pointerId === pointer) held = undefined;
  });
}

const TRACK = "color-mix(in srgb, currentColor 40%, transparent)";
const THUMB = `
    width: 24px; height: 24px; border: 2px solid currentColor; border-radius: 50%; background: var(--tau-colour);
  `;

// The style that every figure starts from; a figure's root has the class "contrastlab-NAME". Lines and texts are in
// currentColor, and what carries the temperature's colour is outlined in it: both the deepest blue and the palest
// orange stay visible on a light and on a dark page. Paper has the drawing and its numbers, and nothing to press.
export const baseStyle = (name) => `
.contrastlab-${name} {
  color: var(--jp-content-font-color1, inherit); max-width: 760px; min-width: 0; font-size: 15px; line-height: 1.45;
  & p { margin: 0 0 .5em; }
  & .task { font-weight: 600; }
  &[data-reached="true"] .task::after { content: " Reached."; }
  & .controls { display: grid; grid-template-columns: auto 1fr auto; gap: 0 .8em; align-items: center; }
  & button {
    min-width: 40px; height: 40px; padding: 0; border: 1px solid currentColor; border-radius: 6px; background: none;
    color: inherit; font: inherit; font-size: 20px; line-height: 1; cursor: pointer; touch-action: manipulation;
  }
  & input[type="range"] {
    appearance: none; width: 100%; min-width: 0; height: 40px; margin: 0; background: none; color: inherit;
    cursor: pointer; touch-action: pan-y;
  }
  & input::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: ${TRACK}; }
  & input::-moz-range-track { height: 4px; border-radius: 2px; background: ${TRACK}; }
  & input::-webkit-slider-thumb { appearance: none; margin-top: -10px; ${THUMB} }
  & input::-moz-range-thumb { ${THUMB} }
  & :is(button, input, select, [tabindex]):focus-visible {
    outline: 3px solid currentColor; outline-offset: 2px; border-radius: 6px;
  }
  & .ticks { grid-column: 2; position: relative; height: 1.5em; margin: 0 12px; font-size: ${STYLE.text}px; }
  & .ticks span { position: absolute; transform: translateX(-50%); }
  & svg { display: block; width: 100%; height: auto; margin: .6em 0; overflow: visible; font-size: ${STYLE.text}px; }
  & svg text { fill: currentColor; }
  & .numbers { display: flex; flex-wrap: wrap; gap: .1em 1.4em; font-variant-numeric: tabular-nums; }
  & .spoken {
    position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
  }
  @media print { & :is(.task, .by-hand, .controls, button, select) { display: none !important; } }
}
`;

// The numbers of a figure, one sentence each, as its visible line of text.
export function showSentences(root, sentences) {
  const line = root.querySelector(".numbers");
  while (line.children.length > sentences.length) line.lastChild.remove();
  sentences.forEach((text, i) => {
    place(line.children[i] ?? line.appendChild(document.createElement("span")), {}, text);
  });
}
