// Ten temperatures, recorded: the map of images, the similarities of pairs, the neighbours of one image, and the place
// of each temperature by uniformity, tolerance and accuracy. Data come from ten_temperatures_data.py.

import {
  announcer, descriptionOf, keepDrawn, keepKeys, place, rounded, save, showSentences, tauColour,
} from "./common.mjs";
import { loadData, ownClass } from "./ten_temperatures_data.mjs";
import { mapIn } from "./ten_temperatures_map.mjs";
import { GAP, TEMPLATE } from "./ten_temperatures_page.mjs";
import { plotsIn } from "./ten_temperatures_plots.mjs";

const WIDE = 620; // px, from which on the neighbours stand beside the map
const [LARGEST_MAP, BESIDE_MAP] = [440, 300]; // px
const IMAGE_KEYS = /^(Arrow|Home|End)/;
const EVENTS = ["change:tau", "change:image"];

function readState(model, data) {
  const image = model.get("image"), t = data.temperatures.indexOf(Number(model.get("tau")));
  const near = data.neighboursOf(t, image), label = data.labels[image], counts = ownClass(data, image);
  return {
    t, image, near, counts, tau: data.temperatures[t], kind: data.classes[label],
    own: near.map((other) => data.labels[other] === label), similarities: data.similaritiesOf(t, image),
    meanOwn: data.meanOwn[t], means: data.means[t], reached: counts[t] === Math.max(...counts),
    places: Object.fromEntries(Object.entries(data.spreads).map(([name, all]) => [name, all[t]])),
  };
}

const withRange = ({ mean, low, high }) => `${rounded(mean)} (${rounded(low)} to ${rounded(high)})`;

function neighbourSentence({ t, counts, near, meanOwn }, { n }) {
  const mean = `the mean over all ${n} images is ${meanOwn.toFixed(1)}`;
  return `${counts[t]} of its ${near.length} nearest are of its class; ${mean}`;
}

function sentences({ tau, means, places }) {
  return [
    `temperature τ = ${tau}`,
    `mean similarity ${rounded(means[0])} within a class, ${rounded(means[1])} between classes`,
    `uniformity ${withRange(places.uniformity)}`, `tolerance ${withRange(places.tolerance)}`,
    `linear accuracy ${withRange(places.linear_accuracy)}\u00a0%`,
  ];
}

function methodText({ n, allImages, seeds }) {
  return `Fashion-mini; map, neighbours and pairs of seed 0. The map: t-SNE of the first ${n} of ${allImages} test `
    + "images, started from the map of the next temperature; it keeps who is near whom and drops how near. "
    + `Neighbours: the highest cosine similarities among the ${n}. Pairs: all of the ${allImages}. `
    + `Dots and bars: mean and range of ${seeds} seeds.`;
}

function fixedParts(root, data) {
  const find = (selector) => root.querySelector(selector);
  const last = data.count - 1;
  find("input").max = last;
  find(".map").setAttribute("aria-valuemax", data.n - 1);
  find(".ticks").innerHTML = data.temperatures.map((tau, t) => (
    `<span style="left: ${(100 * t) / last}%">${tau}</span>`
  )).join("");
  find(".nearest ol").innerHTML = '<li><div class="picture"></div><span></span><span></span></li>'.repeat(data.k);
  find(".classes").innerHTML = data.glyphs.map(([colour, form], label) => (
    `<li class="${form}" style="--colour: ${colour}"><i></i>${data.classes[label]}</li>`
  )).join("");
  find(".method").textContent = methodText(data);
  const address = URL.createObjectURL(data.pictures);
  for (const picture of root.querySelectorAll(".picture")) {
    picture.style.backgroundImage = `url(${address})`;
    picture.style.backgroundSize = `${100 * data.spriteColumns}% auto`;
  }
  return () => URL.revokeObjectURL(address);
}

// A share of the way that the sprite can move: so it needs no size, and no layout.
function showPicture(element, image, { n, spriteColumns }) {
  const rows = n / spriteColumns, row = Math.floor(image / spriteColumns);
  const shares = [(image % spriteColumns) / (spriteColumns - 1), row / (rows - 1)];
  element.style.backgroundPosition = shares.map((share) => `${100 * share}%`).join(" ");
}

function showNeighbours(root, state, data) {
  root.querySelectorAll(".nearest li").forEach((item, j) => {
    const [picture, name, similarity] = item.children;
    showPicture(picture, state.near[j], data);
    item.className = state.own[j] ? "alike" : "other";
    place(name, {}, data.classes[data.labels[state.near[j]]]);
    place(similarity, {}, state.similarities[j].toFixed(3));
  });
}

// The chosen image, the numbers and the slider. Returns what a screen reader hears.
function showTexts(root, state, data, colour, describe) {
  const { tau, t, image, kind, near, similarities, meanOwn, means, places, counts } = state;
  const slider = root.querySelector("input"), texts = sentences(state);
  slider.value = t;
  slider.setAttribute("aria-valuetext", `${tau}`);
  slider.style.setProperty("--tau-colour", colour);
  place(root.querySelector(".map"), { "aria-valuenow": image, "aria-valuetext": `image ${image}, ${kind}` });
  showPicture(root.querySelector(".one .picture"), image, data);
  place(root.querySelector(".one b"), {}, kind);
  place(root.querySelector(".one span"), {}, `image ${image}`);
  place(root.querySelector(".nearest p"), {}, `${neighbourSentence(state, data)}.`);
  showSentences(root, texts);
  const alts = [texts[1], `${texts[2]}, ${texts[3]}`, texts[4]];
  root.querySelectorAll(".plots svg").forEach((svg, i) => place(svg, { "aria-label": `${texts[0]}: ${alts[i]}` }));
  const numbers = { neighbours: near, similarities, means, counts, ...places };
  for (const [name, value] of Object.entries(numbers)) root.dataset[name] = JSON.stringify(value);
  Object.assign(root.dataset, { tau, image, meanOwn, reached: state.reached });
  const ofImage = `image ${image}, ${kind}: ${neighbourSentence(state, data)}`;
  describe(`Map of ${data.n} test images by class at the temperature ${tau}, with lines from ${ofImage}.`);
  return [texts[0], ofImage, ...texts.slice(1)].join(", ").replace("τ", "tau");
}

function connect(root, model, data, map, draw) {
  const change = (values) => {
    save(model, values);
    if (Number(root.dataset.tau) !== model.get("tau") || Number(root.dataset.image) !== model.get("image")) {
      draw(); // for a host that does not report changes made here
    }
  };
  const within = (x, end) => Math.min(end, Math.max(0, x));
  const stop = () => data.temperatures.indexOf(Number(model.get("tau")));
  const step = (by) => change({ tau: data.temperatures[within(stop() + by, data.count - 1)] });
  const choose = (image) => change({ image: within(image, data.n - 1) });
  const press = (label, action) => root.querySelector(`[aria-label="${label}"]`).addEventListener("click", action);
  press("lower temperature", () => step(-1));
  press("higher temperature", () => step(1));
  press("previous image", () => choose(model.get("image") - 1));
  press("next image", () => choose(model.get("image") + 1));
  const slider = root.querySelector("input"), field = root.querySelector(".map");
  slider.addEventListener("input", () => change({ tau: data.temperatures[slider.value] }));
  field.addEventListener("keydown", (event) => {
    if (!IMAGE_KEYS.test(event.key)) return;
    event.preventDefault(); // the page stays where it is
    choose({ Home: 0, End: data.n - 1 }[event.key] ?? map.towards(stop(), model.get("image"), event.key));
  });
  keepKeys(slider);
  keepKeys(field, IMAGE_KEYS);
  return choose;
}

function layOut(root, map, plots, shown) {
  const width = Math.max(260, shown), wide = width >= WIDE;
  root.dataset.wide = wide;
  root.dataset.narrow = width < 480;
  const side = Math.floor(Math.min(LARGEST_MAP, wide ? width - BESIDE_MAP - GAP : width));
  Object.assign(root.querySelector(".map").style, { width: `${side}px`, height: `${side}px` });
  map.resize(side);
  plots.resize(Math.floor(wide ? (width - 2 * GAP) / 3 : width));
}

// Draws the chosen image and the numbers at once, and what is costly, neighbours, plots and map, in the frames after,
// one in each: so no answer to a key or a pointer waits for them, and no frame is late. Returns what draws so, what
// draws all at once, and the end.
function drawer(root, model, data, { map, plots, say, describe, colours }) {
  let state, pending;
  const costly = [
    () => showNeighbours(root, state, data),
    () => plots.show(state.t),
    () => map.show({ t: state.t, chosen: state.image, near: state.near, own: state.own }),
  ];
  let behind = []; // those that do not show the state yet; each comes round, however fast the moves are
  const follow = () => {
    behind.shift()();
    pending = behind.length ? requestAnimationFrame(follow) : undefined;
  };
  const draw = () => {
    state = readState(model, data);
    map.pause();
    say(showTexts(root, state, data, colours[state.t], describe));
    behind = [...behind, ...costly.filter((part) => !behind.includes(part))];
    pending ??= requestAnimationFrame(() => { pending = requestAnimationFrame(follow); });
  };
  const drawAll = () => {
    draw();
    cancelAnimationFrame(pending);
    [pending, behind] = [undefined, []];
    for (const part of costly) part();
  };
  return { draw, drawAll, cancel: () => cancelAnimationFrame(pending) };
}

async function render({ model, el }) {
  const data = await loadData(model);
  const root = document.createElement("div");
  root.className = "contrastlab-ten-temperatures";
  root.innerHTML = TEMPLATE;
  el.append(root);
  const free = fixedParts(root, data);
  const colours = data.temperatures.map((tau) => tauColour(tau, model.get("colours") ?? []));
  const map = mapIn(root.querySelector(".map"), data, (image) => choose(image));
  const plots = plotsIn(root.querySelectorAll(".plots svg"), data, colours);
  const say = announcer(root.querySelector(".spoken")), describe = descriptionOf(root.querySelector(".map"));
  const { draw, drawAll, cancel } = drawer(root, model, data, { map, plots, say, describe, colours });
  const choose = connect(root, model, data, map, draw);
  const lay = (width) => layOut(root, map, plots, width);
  const end = keepDrawn(model, root, [], { lay, draw: drawAll });
  for (const event of EVENTS) model.on(event, draw);
  return () => {
    for (const event of EVENTS) try { model.off(event, draw); } catch { /* a host without a kernel may refuse */ }
    cancel();
    map.end();
    say.stop();
    free();
    end();
  };
}

export default { render };
