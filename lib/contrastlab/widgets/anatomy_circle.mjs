// The circle of the anatomy figure: points that can be dragged, the similarities' shadows, and the forces as arrows.

import { draggable, keepKeys, node, place } from "./common.mjs";

const MARGIN = 36, SCALE_ROW = 26; // px around the circle, and below it for the scale of the arrows
const HEAD = 9; // px, of an arrow
const MARK = 8;

const made = (parent, tag, name) => node(parent, tag, { class: name });

function pointNodes(svg, name, label) {
  const group = node(svg, "g", {
    class: `point ${name.split(" ")[0]}`, role: "slider", tabindex: 0, "aria-label": name,
    "aria-valuemin": -180, "aria-valuemax": 180,
  });
  node(group, "circle", { r: 22, class: "hit" });
  node(group, "circle", { r: MARK + 5, class: "ring" });
  node(group, "circle", { r: MARK, class: "paper" });
  const disc = node(group, "circle", { r: MARK, class: "disc" });
  return { group, disc, label: node(group, "text", { "text-anchor": "middle" }, label) };
}

function nodesOf(svg, names, labels) {
  svg.replaceChildren();
  const round = made(svg, "circle", "round"), axis = made(svg, "path", "axis");
  const shadows = names.map(() => made(svg, "path", "shadow"));
  const points = names.map((name, i) => pointNodes(svg, name, labels[i]));
  const arrows = names.map((_, i) => (i ? ["arrow"] : ["edge", "arrow first"]).map((kind) => made(svg, "path", kind)));
  return { round, axis, shadows, points, arrows, bar: made(svg, "path", "bar"), unit: node(svg, "text", {}) };
}

const pair = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;

// An arrow from the edge of a point's mark in the direction [ux, uy], as the `d` of a path: a shaft and a closed head.
function arrowPath([x, y], [ux, uy], length) {
  if (length < 1) return "";
  const head = Math.min(HEAD, length);
  const along = (way, aside = 0) => pair([x + way * ux - aside * uy, y + way * uy + aside * ux]);
  const [foot, wing] = [MARK + length - head, 0.45 * head];
  return `M${along(MARK)}L${along(foot)}M${along(foot, wing)}L${along(MARK + length)}L${along(foot, -wing)}Z`;
}

function movePoint({ group, disc, label }, [x, y], [outX, outY], { degrees, text, fill, opacity, selected }) {
  place(group, {
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, "aria-valuenow": degrees, "aria-valuetext": text,
    "data-selected": selected,
  });
  place(disc, { fill, "fill-opacity": opacity.toFixed(3) });
  place(label, { x: (20 * outX).toFixed(1), y: (20 * outY + 4).toFixed(1) });
}

function moveShadows({ axis, shadows }, { angles, s }, at, radius) {
  place(axis, { d: `M${pair(at(angles[0], -radius))}L${pair(at(angles[0], radius))}` });
  s.forEach((similarity, j) => {
    const foot = at(angles[0], radius * similarity);
    place(shadows[j + 1], { d: `M${pair(at(angles[j + 1], radius))}L${pair(foot)}` });
  });
}

// A function that draws a state at a width, on nodes that stay as long as the names do, and so keep focus and pointer.
export function circleOn(svg) {
  let nodes, drawn;
  return (state, size) => {
    if (drawn !== state.names.join()) {
      drawn = state.names.join();
      nodes = nodesOf(svg, state.names, state.labels);
    }
    const centre = size / 2, radius = centre - MARGIN, bottom = size + SCALE_ROW - 10;
    const at = (angle, r) => [centre + r * Math.cos(angle), centre - r * Math.sin(angle)];
    place(svg, { viewBox: `0 0 ${size} ${size + SCALE_ROW}` });
    place(nodes.round, { cx: centre, cy: centre, r: radius });
    if (state.show === "loss") moveShadows(nodes, state, at, radius);
    state.angles.forEach((angle, i) => {
      const [sine, cosine] = [Math.sin(angle), Math.cos(angle)], xy = at(angle, radius);
      movePoint(nodes.points[i], xy, [cosine, -sine], state.points[i]);
      const way = Math.sign(state.forces[i]); // counter-clockwise if positive, and y points down
      const d = arrowPath(xy, [-way * sine, -way * cosine], Math.abs(state.forces[i]) * state.tau * radius);
      nodes.arrows[i].forEach((path) => place(path, { d }));
      if (i === 0) place(nodes.arrows[0][1], { stroke: state.colour, fill: state.colour });
    });
    place(nodes.bar, { d: `M4 ${bottom - 8}v8m0 -4h${radius.toFixed(1)}m0 -4v8` });
    place(nodes.unit, { x: radius + 12, y: bottom }, `a force of 1/τ = ${Number((1 / state.tau).toPrecision(3))}`);
  };
}

const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }; // degrees
const ENDS = { Home: -179.9, End: 180 };

// Lets pointer and keys turn the points of svg: degreesOf(i) is where point i stands, moveTo(i, degrees) moves it, and
// select(i) makes it the chosen one.
export function turnable(svg, { degreesOf, moveTo, select }) {
  const points = () => [...svg.querySelectorAll(".point")];
  const indexOf = (event) => points().indexOf(event.target.closest(".point"));
  const angleOf = (event, { left, top, width }) =>
    (Math.atan2(top + width / 2 - event.clientY, event.clientX - left - width / 2) * 180) / Math.PI;
  const noScroll = (event) => { if (indexOf(event) >= 0) event.preventDefault(); };
  svg.addEventListener("touchstart", noScroll, { passive: false }); // touch-action says so too, not to every browser
  const grab = (event) => { // which point, the picture's place, and how far the point is ahead of the pointer
    const i = indexOf(event);
    if (i < 0) return undefined;
    event.preventDefault(); // or the drag would select text
    points()[i].focus({ preventScroll: true });
    const box = svg.getBoundingClientRect();
    return { i, box, ahead: degreesOf(i) - angleOf(event, box) };
  };
  draggable(svg, grab, (event, { i, box, ahead }) => moveTo(i, angleOf(event, box) + ahead));
  // Not on svg itself: Chromium lets the Tab key stop at an SVG that listens to the focus.
  svg.parentElement.addEventListener("focusin", (event) => select(indexOf(event)));
  svg.addEventListener("keydown", (event) => {
    const i = indexOf(event);
    if (i < 0 || !(event.key in STEPS || event.key in ENDS)) return;
    event.preventDefault(); // or the page would scroll
    moveTo(i, ENDS[event.key] ?? degreesOf(i) + STEPS[event.key]);
  });
  keepKeys(svg);
}
