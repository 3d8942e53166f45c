// One run of the world of points: where it starts, how far it has come, what was measured on the way.

import {
  advance, AT_REST, effectiveRank, LONGEST, meanOf, startPoints, tolerance, uniformity, workspace,
} from "./world_flow.mjs";

const LONG_ENOUGH = 20; // steps after which a run is worth comparing with
const FINENESS = 1.03; // a curve has a new value once 1 + steps has grown by this factor: about one pixel

function measuresOf(z) {
  return {
    uniformity: uniformity(z), tolerance: tolerance(z), rank: effectiveRank(z), balance: Math.hypot(...meanOf(z)),
  };
}

const stepsOf = (history) => history.at(-1)?.steps ?? 0;

// A run that `begin` starts in a world, { loss, tau, seed, n, colour, name }, and that `step` moves. `history` holds
// what was measured; `before` the history, colour and name of the world that was left last.
export function createRun() {
  const run = { world: undefined, history: [], before: undefined };
  let longest = [], start = {}, room;

  const begin = (world) => {
    if (run.history.length && stepsOf(run.history) >= stepsOf(longest)) longest = run.history;
    if (run.world && !run.isOf(world)) {
      if (stepsOf(longest) >= LONG_ENOUGH) run.before = { ...run.world, history: longest };
      longest = [];
    }
    if (room?.losses.length !== world.n) room = workspace(world.n);
    if (start.seed !== world.seed || start.z.length !== 3 * world.n) {
      const z = startPoints(world.seed, world.n);
      start = { seed: world.seed, z, measures: measuresOf(z) };
    }
    Object.assign(run, { world, z: start.z.slice(), steps: 0, furthest: Infinity, history: [] }, start.measures);
    remember();
  };
  const remember = () => {
    const { steps, uniformity: U, tolerance: T, rank } = run;
    run.history.push({ steps, values: [U, T, rank] });
  };
  const step = () => {
    run.furthest = advance(run.z, run.world.loss, run.world.tau, room);
    run.steps++;
  };
  const measure = () => {
    if (stepsOf(run.history) === run.steps) return;
    Object.assign(run, measuresOf(run.z));
    remember();
  };
  return Object.assign(run, {
    begin, step, measure,
    due: () => 1 + run.steps >= FINENESS * (1 + stepsOf(run.history)), // to be measured
    isOf: (world) => ["loss", "tau", "seed", "n"].every((name) => world[name] === run.world[name]),
    atRest: () => run.furthest < AT_REST,
    ended: () => run.furthest < AT_REST || run.steps >= LONGEST,
  });
}
