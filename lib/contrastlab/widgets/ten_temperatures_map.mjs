// The map of images of the figure of chapter 7: a canvas with one glyph an image, and over it, as SVG, the names of the
// classes, the chosen image and the lines to its neighbours.

import { node, place } from "./common.mjs";

const MOVE = 500; // ms from one map to the next
const EDGE = 12; // px around the map
const NEAR = 24; // px from a pointer to the image that it chooses
const GLYPH = 3.2; // px, its radius
const NAME_HEIGHT = 13, NAME_LETTER = 6.4; // px, of a name and of its letters

const eased = (part) => part * part * (3 - 2 * part);
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

// One path a class, since a canvas draws few long paths faster than many short ones. members: images of each class.
function paint(canvas, side, at, { glyphs }, members) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / side;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, side, side);
  context.lineWidth = 1.6;
  glyphs.forEach(([colour, form], label) => {
    const r = form === "disc" ? GLYPH : GLYPH - 0.4;
    context.beginPath();
    for (const i of members[label]) {
      const [x, y] = at(i);
      context.moveTo(x + r, y);
      context.arc(x, y, r, 0, 2 * Math.PI);
    }
    context.fillStyle = context.strokeStyle = colour;
    if (form === "disc") context.fill();
    else context.stroke();
  });
}

// The middle of each class on a map, in its coordinates.
function middlesOf(map, members) {
  return Float32Array.from(members.flatMap((images) => (
    [0, 1].map((axis) => median(images.map((i) => map[2 * i + axis])))
  )));
}

// Names of classes that mix would lie on each other: from top to bottom, each moves below those in its way.
function apart(middles, widths, side) {
  const downwards = middles.map((_, label) => label).sort((a, b) => middles[a][1] - middles[b][1]);
  const done = [];
  for (const label of downwards) {
    const half = widths[label] / 2;
    const x = Math.min(side - half, Math.max(half, middles[label][0]));
    let y = middles[label][1];
    for (const other of done) {
      if (Math.abs(other.x - x) < half + other.half && y < other.y + NAME_HEIGHT && y > other.y - NAME_HEIGHT) {
        y = other.y + NAME_HEIGHT;
      }
    }
    done.push({ label, x, y: Math.min(side - 4, y), half });
  }
  return done;
}

// The image on the map that lies in the direction of an arrow key: near, and not far to the side.
export function towards(map, image, key) {
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  let best = image, least = Infinity;
  for (let i = 0; i < map.length / 2; i++) {
    const x = map[2 * i] - map[2 * image], y = map[2 * i + 1] - map[2 * image + 1];
    const ahead = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
    if (ahead > 0 && ahead + 2 * aside < least) [best, least] = [i, ahead + 2 * aside];
  }
  return best;
}

function overlay(svg, data) {
  const links = node(svg, "g", {}), names = node(svg, "g", {});
  return {
    lines: Array.from({ length: data.k }, () => node(links, "line", {})),
    rings: Array.from({ length: data.k }, () => node(links, "circle", { r: 6, class: "end" })),
    chosen: node(svg, "circle", { r: 9, class: "chosen" }),
    names: data.classes.map((name) => node(names, "text", { "text-anchor": "middle", class: "name" }, name)),
  };
}

function drawOverlay(parts, at, { chosen, near, own }) {
  const [x, y] = at(chosen);
  place(parts.chosen, { cx: x, cy: y });
  near.forEach((other, j) => {
    const [x2, y2] = at(other);
    const way = own[j] ? "alike" : "other";
    place(parts.lines[j], { x1: x, y1: y, x2, y2, class: way });
    place(parts.rings[j], { cx: x2, cy: y2, class: `end ${way}` });
  });
}

const between = (from, goal, part) => goal.map((x, i) => from[i] + part * (x - from[i]));

// The map in an element with a canvas and an SVG; `choose` is told which image a pointer chose. Returns what shows a
// state { t, chosen, near, own }, what sets the side in px, what finds the image an arrow key leads to, and the end.
export function mapIn(element, data, choose) {
  const [canvas, svg] = ["canvas", "svg"].map((tag) => element.querySelector(tag));
  const maps = data.temperatures.map((_, t) => data.map(t)); // x and y of image i at 2 i and 2 i + 1, from -1 to 1
  const members = data.classes.map((_, label) => data.labels.flatMap((other, i) => (other === label ? [i] : [])));
  const middles = maps.map((map) => middlesOf(map, members)); // x and y of the classes
  const widths = data.classes.map((name) => NAME_LETTER * name.length);
  const parts = overlay(svg, data);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let side = 0, state, points, names, painted, frame; // points and names: where they are drawn

  const pixels = (x) => Math.round(10 * (EDGE + ((x + 1) / 2) * (side - 2 * EDGE))) / 10;
  const at = (list, i) => [pixels(list[2 * i]), pixels(list[2 * i + 1])];
  const drawGlyphs = () => {
    if (painted !== points) paint(canvas, side, (i) => at(points, i), data, members);
    painted = points;
  };
  const drawAbove = () => {
    drawOverlay(parts, (i) => at(points, i), state);
    apart(widths.map((_, label) => at(names, label)), widths, side).forEach(({ label, x, y }) => {
      place(parts.names[label], { transform: `translate(${x.toFixed(1)} ${(y + 4).toFixed(1)})` });
    });
  };
  const stand = () => {
    drawAbove();
    element.dataset.moving = false;
  };
  // Where the state says: what lies above the glyphs comes a frame later than they do, if they are to be drawn anew.
  const settle = () => {
    [points, names] = [maps[state.t], middles[state.t]];
    if (painted === points) return stand();
    drawGlyphs();
    frame = requestAnimationFrame(stand);
  };
  const move = () => {
    const [fromPoints, fromNames] = [points, names];
    let start;
    const step = (now) => {
      start ??= now;
      const part = (now - start) / MOVE;
      if (part >= 1) return settle();
      points = between(fromPoints, maps[state.t], eased(part));
      names = between(fromNames, middles[state.t], eased(part));
      drawGlyphs();
      drawAbove();
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
  };
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    const away = data.labels.map((_, i) => {
      const [x, y] = at(points, i);
      return Math.hypot(event.clientX - box.left - x, event.clientY - box.top - y);
    });
    const nearest = away.indexOf(Math.min(...away));
    if (away[nearest] <= NEAR) choose(nearest);
  });
  return {
    // An answer to a key or a pointer comes first; `show` goes on from where the images are.
    pause() {
      cancelAnimationFrame(frame);
      element.dataset.moving = true;
    },
    show(next) {
      const leaves = state && points !== maps[next.t] && !still.matches;
      state = next;
      if (leaves) move();
      else settle();
    },
    resize(width) {
      if (width === side) return;
      side = width;
      painted = undefined;
      canvas.width = canvas.height = Math.round(side * (window.devicePixelRatio || 1));
      svg.setAttribute("viewBox", `0 0 ${side} ${side}`);
    },
    towards: (t, image, key) => towards(maps[t], image, key),
    end: () => cancelAnimationFrame(frame),
  };
}
