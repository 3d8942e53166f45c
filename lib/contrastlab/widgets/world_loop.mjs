// What moves the world of points: frames while it is seen and has somewhere to go, and none otherwise.

import { save } from "./common.mjs";

const BUDGET = 8; // ms of steps in a frame
const FRAME = 12; // ms at least between two, so that a fast screen does not run a faster world
const SHOW_EVERY = 50; // ms at least between two readings of the numbers
const [REPORT_EVERY, REPORT_AFTER] = [500, 100]; // ms, to Python: while it flows, and once it stands
const TURN = 0.12; // radians a second, by itself
const stepsAFrame = (steps) => (steps < 200 ? 1 : steps < 600 ? 2 : 6);

// Moves the run, and turns the view, while the model says "playing". Each frame is followed by `paint`, or by `show`
// where the numbers are due.
export function worldLoop({ model, run, view, root, paint, show }) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let [target, frame, settling, visible] = [model.get("steps"), undefined, undefined, false];
  let [last, shown, reported] = [0, 0, 0]; // when a frame was drawn, the numbers were shown, Python was told

  const playing = () => Boolean(model.get("playing"));
  const behind = () => run.steps < target; // Python asked for these steps
  const running = () => visible && !document.hidden && (behind() || (playing() && !run.ended()));
  const report = () => { if (model.get("steps") !== run.steps) save(model, { steps: run.steps }); };
  const settle = () => {
    clearTimeout(settling);
    settling = setTimeout(report, REPORT_AFTER);
  };
  const stepOn = (left) => {
    const until = performance.now() + BUDGET;
    for (; left > 0 && running() && performance.now() < until; left--) run.step();
  };
  const tick = (now) => {
    frame = running() ? requestAnimationFrame(tick) : undefined;
    if (!frame) { // scrolled away, hidden or paused
      settle();
      return show();
    }
    if (now - last < FRAME) return;
    if (!view.byHand && !calm.matches) view.yaw += TURN * Math.min(0.05, (now - last) / 1000);
    last = now;
    stepOn(behind() ? target - run.steps : stepsAFrame(run.steps));
    if (running() && (now - shown < SHOW_EVERY || !run.due())) return paint();
    shown = now;
    show();
    if (!running()) settle();
    else if (now - reported > REPORT_EVERY) {
      reported = now;
      report();
    }
  };
  const wake = () => {
    if (running()) frame ??= requestAnimationFrame(tick);
  };
  // Python set the steps: a world that stands goes there. What was reported from here changes nothing.
  const goTo = () => {
    const asked = model.get("steps");
    if (playing() || asked === run.steps) return;
    if (asked < run.steps) run.begin(run.world);
    target = asked;
    show();
    wake();
  };
  const stop = () => { if (calm.matches && playing()) save(model, { playing: false }); };
  const watch = new IntersectionObserver((entries) => {
    visible = entries.at(-1).isIntersecting;
    wake();
  });

  stop();
  watch.observe(root);
  model.on("change:steps", goTo);
  document.addEventListener("visibilitychange", wake);
  calm.addEventListener("change", stop);
  return {
    playing, running, wake, settle,
    restart: () => {
      target = 0;
      settle();
    },
    drawn: () => { last = performance.now(); }, // outside of a frame: the next one need not draw again
    end: () => {
      visible = false;
      cancelAnimationFrame(frame);
      clearTimeout(settling);
      watch.disconnect();
      document.removeEventListener("visibilitychange", wake);
      calm.removeEventListener("change", stop);
      try { model.off("change:steps", goTo); } catch { /* a host without a kernel may refuse */ }
    },
  };
}
