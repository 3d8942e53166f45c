// A world of points: a few hundred free points on the sphere follow the gradient of a loss.
// One file for every host: Jupyter mounts it through anywidget, the website through mount.js.

import {
  announcer, baseStyle, CHOICE_KEYS, descriptionOf, followTheme, keepDrawn, keepKeys, place, save, showSentences,
  tauColour, tauControl,
} from "./common.mjs";
import { curvesIn } from "./world_curves.mjs";
import { hasTemperature, LONGEST, meanOf } from "./world_flow.mjs";
import { worldLoop } from "./world_loop.mjs";
import { COMPACT_PAGE, FULL_PAGE, nameOf, sentencesOf, WORLD_STYLE } from "./world_page.mjs";
import { createRun } from "./world_run.mjs";
import { drawSphere, makeTurnable } from "./world_sphere.mjs";

const STILL_BUNCHED = 0.8; // the tolerance above which the classes count as bunches
const [NARROW, GAP_OF_COLUMNS, CURVES_HIGH] = [560, 20, 176]; // px

function readWorld(model) {
  const [loss, tau] = [model.get("loss"), Number(model.get("tau"))];
  const colour = hasTemperature(loss) ? tauColour(tau, model.get("colours") ?? []) : "currentColor";
  return { loss, tau, seed: model.get("seed"), n: model.get("n"), colour, name: nameOf({ loss, tau }) };
}

const STARTS_ANEW = ["loss", "tau", "seed", "n"];
const stateOf = (model) => JSON.stringify([...STARTS_ANEW, "playing"].map((name) => model.get(name)));
const isAnother = (model, values) => STARTS_ANEW.some((name) => name in values && values[name] !== model.get(name));

function paintSphere(root, canvas, run, view) {
  const ink = getComputedStyle(root).color;
  const colour = hasTemperature(run.world.loss) ? run.world.colour : ink;
  drawSphere(canvas, { z: run.z, view, mean: meanOf(run.z), ink, colour, size: view.size });
}

// How the sphere stands, for a screen reader, which would not stop reading if it were told of each turn by itself.
function tellTurn(canvas, { yaw, pitch }) {
  const [turn, height] = [yaw, pitch].map((radians) => Math.round((radians * 180) / Math.PI));
  const now = ((turn % 360) + 360) % 360;
  const from = `seen from ${Math.abs(height)} degrees ${height < 0 ? "below" : "above"}`;
  place(canvas, { "aria-valuenow": now, "aria-valuetext": `${now} degrees, ${from}` });
}

function nameOfPlay(run, playing) {
  if (!playing) return "Play";
  return run.ended() ? "Play again" : "Pause";
}

// The numbers as text, and in full precision on the root element.
function tell(root, run, loop, compact) {
  const texts = sentencesOf(run, loop.playing());
  const { steps, uniformity, tolerance, rank, balance, world: { loss, tau, seed } } = run;
  const label = `Uniformity, tolerance and effective rank over the steps: ${texts.join(", ")}.`;
  if (!compact) showSentences(root, texts);
  if (!compact && !loop.running()) place(root.querySelector("svg"), { "aria-label": label });
  place(root.querySelector(".play"), {}, nameOfPlay(run, loop.playing()));
  const reached = !compact && run.atRest() && tolerance >= STILL_BUNCHED;
  const numbers = { steps, uniformity, tolerance, rank, balance, loss, tau, seed };
  Object.assign(root.dataset, { ...numbers, atRest: run.atRest(), running: loop.running(), reached });
  return texts.join(", ").replace("τ", "tau");
}

// The controls show the world that is run; a simple loss has no temperature to set.
function showControls(root, { loss, seed }) {
  for (const control of root.querySelectorAll(".controls :is(button, input)")) control.disabled = !hasTemperature(loss);
  const choice = root.querySelector("select");
  if (!choice) return;
  if (choice.value !== loss) choice.value = loss;
  place(root.querySelector("output"), {}, `${seed}`);
  place(root.querySelector('[aria-label="previous seed"]'), { "aria-disabled": seed === 0 }); // and it keeps the focus
}

// Connects the controls other than the temperature's: `change` takes new values of the model, `again` starts anew.
function connect(root, model, { change, again, step, playOrPause }) {
  const on = (selector, event, action) => root.querySelector(selector)?.addEventListener(event, action);
  const choice = root.querySelector("select");
  const seedBy = (difference) => change({ seed: Math.max(0, model.get("seed") + difference) });
  on(".play", "click", playOrPause);
  on(".step", "click", step);
  on(".reset", "click", again);
  on("select", "change", (event) => change({ loss: event.target.value }));
  if (choice) keepKeys(choice, CHOICE_KEYS);
  on('[aria-label="previous seed"]', "click", () => seedBy(-1));
  on('[aria-label="next seed"]', "click", () => seedBy(1));
}

function render({ model, el }) {
  const compact = Boolean(model.get("compact"));
  const root = document.createElement("div");
  root.className = "contrastlab-world";
  root.innerHTML = `<style>${baseStyle("world")}${WORLD_STYLE}</style>${compact ? COMPACT_PAGE : FULL_PAGE}`;
  el.append(root);
  const [canvas, stage] = [root.querySelector("canvas"), root.querySelector(".stage")];
  const curves = compact ? undefined : curvesIn(root.querySelector("svg"));
  const spoken = root.querySelector(".spoken"), say = announcer(spoken), describe = descriptionOf(canvas);
  let followed;
  const run = createRun(), view = { yaw: 0.3, pitch: 0.35, byHand: false };
  const paint = () => {
    paintSphere(root, canvas, run, view);
    if (view.byHand || !loop.running()) tellTurn(canvas, view);
  };
  const show = () => {
    run.measure();
    paint();
    curves?.show(run);
    speak(tell(root, run, loop, compact));
  };
  // Nothing is said while the points flow: a slow machine's pauses between two readings are as long as a rest.
  const speak = (text) => {
    const flows = loop.running() && spoken.textContent;
    if (flows) say.stop();
    else say(text);
    describe(`${run.world.n} points in four classes on a sphere, half of it seen${flows ? "" : `: ${text}`}.`);
  };
  const loop = worldLoop({ model, run, view, root, paint, show });

  // Takes over what the model says now: another world starts from its beginning.
  const follow = () => {
    const world = readWorld(model);
    followed = stateOf(model);
    if (!run.world || !run.isOf(world)) {
      if (run.world) loop.restart();
      run.begin(world);
    }
    run.world = world; // with the colour of now
    loop.wake();
    show();
    loop.drawn();
    showTau(world.tau, hasTemperature(world.loss) ? world.colour : "transparent");
    showControls(root, world);
  };
  // For a host that does not report changes made here.
  const catchUp = () => { if (followed !== stateOf(model)) follow(); };
  // Another world starts from its beginning, and says so to Python in the same breath: told later, Python would set the
  // steps itself, and its answer could undo a step taken meanwhile.
  const change = (values) => {
    save(model, isAnother(model, values) ? { ...values, steps: 0 } : values);
    catchUp();
  };
  const showTau = tauControl(model, root, () => {}, change);
  const again = () => {
    loop.restart();
    run.begin(run.world);
    follow();
  };
  const playOrPause = () => {
    if (loop.playing() && run.ended()) return again();
    change({ playing: !loop.playing() });
    loop.settle();
  };
  const step = () => {
    if (loop.playing()) save(model, { playing: false });
    if (run.steps < LONGEST) run.step();
    loop.settle();
    follow();
  };
  connect(root, model, { change, again, step, playOrPause });
  makeTurnable(canvas, view, paint);

  const lay = (width) => {
    const narrow = width < NARROW;
    stage.classList.toggle("narrow", narrow && !compact);
    view.size = canvas.clientWidth || 300; // a figure that is not shown has no size
    canvas.width = canvas.height = Math.round(view.size * Math.min(2, devicePixelRatio || 1));
    const column = (width - GAP_OF_COLUMNS) / 2;
    if (narrow) curves?.layout(width, CURVES_HIGH, true);
    else curves?.layout(column, column, false);
  };
  const end = keepDrawn(model, root, ["loss", "tau", "seed", "n", "playing", "colours"], { lay, draw: follow });
  const endTheme = followTheme(paint);
  return () => {
    endTheme();
    loop.end();
    say.stop();
    end();
  };
}

export default { render };
