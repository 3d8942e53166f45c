// The three plots of the figure of chapter 7: the similarities of pairs, the place of each temperature on the plane of
// uniformity and tolerance, and its linear accuracy. What stays is drawn once a width, what moves is only moved.

import { node, place, rounded } from "./common.mjs";

const [TITLE, FOOT, SIDE] = [24, 36, 34]; // px around a plot
const HEIGHT = 200;
const TURN = 0.2; // where the path on the plane turns; from here on labels stand below it

const shares = (counts) => {
  const all = counts.reduce((a, b) => a + b);
  return counts.map((count) => count / all);
};

// Linear axes of a plot `width` px wide. x and y: { low, high, marks, name }.
function axesIn(svg, width, title, x, y) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const [left, right, top, bottom] = [SIDE, width - 6, TITLE, HEIGHT - FOOT];
  const scale = ({ low, high }, from, to) => (value) => from + ((value - low) / (high - low)) * (to - from);
  const toX = scale(x, left, right), toY = scale(y, bottom, top);
  node(svg, "text", { x: 0, y: 12, class: "title" }, title);
  for (const mark of y.marks) {
    node(svg, "line", { x1: left, x2: right, y1: toY(mark), y2: toY(mark), class: "grid" });
    node(svg, "text", { x: left - 5, y: toY(mark) + 4, "text-anchor": "end" }, mark);
  }
  node(svg, "line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "axis" });
  for (const mark of x.marks) {
    const [at, text] = Array.isArray(mark) ? mark : [mark, `${mark}`.replace("-", "−")];
    node(svg, "line", { x1: toX(at), x2: toX(at), y1: bottom, y2: bottom + 4, class: "axis" });
    node(svg, "text", { x: toX(at), y: bottom + 16, "text-anchor": "middle" }, text);
  }
  node(svg, "text", { x: (left + right) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, x.name);
  return { toX, toY, left, right, top, bottom };
}

// Steps of a histogram over bins from -1 to 1.
function outline(heights, { toX, toY }) {
  const edge = (b) => toX(-1 + (2 * b) / heights.length).toFixed(1);
  const steps = heights.map((height, b) => `V${toY(height).toFixed(1)}H${edge(b + 1)}`);
  return `M${edge(0)} ${toY(0)}${steps.join("")}V${toY(0)}`;
}

// A mean similarity: a line, and left of it its name with a swatch, each in a row of its own.
function meanIn(svg, { left, top, bottom, toX }, row, name) {
  const y = top + 16 * row + 4;
  const line = node(svg, "line", { y1: y - 2, y2: bottom, class: "mean" });
  const swatch = node(svg, "rect", { y: y - 1, width: 9, height: 9, class: name });
  const text = node(svg, "text", { x: left, y: y + 8, "text-anchor": "end" });
  return (mean, colour) => {
    const x = Math.round(toX(mean));
    place(line, { x1: x, x2: x });
    place(swatch, { x: x - 15, fill: colour });
    place(text, { x: x - 19 }, `${name === "same" ? "one class" : "two classes"}: ${rounded(mean)}`);
  };
}

function histogramIn(svg, data) {
  const same = data.same.map(shares), different = data.different.map(shares);
  const high = 1.05 * Math.max(...same.flat(), ...different.flat());
  let axes, paths, means, steps;
  const layout = (width) => {
    axes = axesIn(svg, width, "Similarities of pairs, by share",
      { low: -1, high: 1, marks: [-1, 0, 1], name: "similarity" }, { low: 0, high, marks: [0, 0.1] });
    steps = [same, different].map((all) => all.map((heights) => outline(heights, axes)));
    paths = ["same", "different"].map((name) => node(svg, "path", { class: name }));
    means = ["same", "different"].map((name, row) => meanIn(svg, axes, row, name));
  };
  const show = (t, colour) => {
    place(paths[0], { d: steps[0][t], fill: colour });
    place(paths[1], { d: steps[1][t] });
    means.forEach((mean, i) => mean(data.means[t][i], i ? "none" : colour));
  };
  return { layout, show };
}

// A cross a temperature: mean and range over the seeds in both directions, the dot in its colour.
function planeIn(svg, data, colours) {
  const { uniformity: U, tolerance: T } = data.spreads;
  let parts;
  const layout = (width) => {
    const { toX, toY } = axesIn(svg, width, "Tolerance against uniformity",
      { low: 0.9, high: 3.3, marks: [1, 2, 3], name: "uniformity" }, { low: 0.3, high: 0.9, marks: [0.4, 0.6, 0.8] });
    node(svg, "polyline", { points: U.map((u, t) => `${toX(u.mean)},${toY(T[t].mean)}`).join(" "), class: "path" });
    parts = U.map((u, t) => {
      const x = toX(u.mean), y = toY(T[t].mean), below = data.temperatures[t] >= TURN;
      const range = `M${toX(u.low)} ${y}H${toX(u.high)}M${x} ${toY(T[t].low)}V${toY(T[t].high)}`;
      node(svg, "path", { d: range, class: "range" });
      return {
        dot: node(svg, "circle", { cx: x, cy: y, r: 4, fill: colours[t], class: "dot" }),
        name: node(svg, "text", {
          x: x + (below ? -6 : 6), y: y + (below ? 15 : -7), "text-anchor": below ? "end" : "start",
        }, data.temperatures[t]),
      };
    });
  };
  return { layout, show: (t) => mark(parts, t) };
}

function accuracyIn(svg, data, colours) {
  const accuracy = data.spreads.linear_accuracy, log = data.temperatures.map(Math.log);
  let parts;
  const layout = (width) => {
    const { toX, toY } = axesIn(svg, width, "Linear accuracy (%)",
      {
        low: log[0] - 0.2, high: log.at(-1) + 0.2, name: "temperature τ",
        marks: [0.03, 0.1, 0.3, 1].map((tau) => [Math.log(tau), tau]),
      },
      { low: 79, high: 85, marks: [80, 82, 84] });
    node(svg, "polyline", { points: accuracy.map((a, t) => `${toX(log[t])},${toY(a.mean)}`).join(" "), class: "path" });
    parts = accuracy.map((a, t) => {
      const x = toX(log[t]);
      node(svg, "path", { d: `M${x} ${toY(a.low)}V${toY(a.high)}`, class: "range" });
      return {
        dot: node(svg, "circle", { cx: x, cy: toY(a.mean), r: 4, fill: colours[t], class: "dot" }),
        name: node(svg, "text", { x, y: toY(a.high) - 8, "text-anchor": "middle", class: "only" }, rounded(a.mean)),
      };
    });
  };
  return { layout, show: (t) => mark(parts, t) };
}

function mark(parts, current) {
  parts.forEach(({ dot, name }, t) => {
    place(dot, { r: t === current ? 7 : 4 });
    name.classList.toggle("current", t === current);
  });
}

// The plots in three SVGs. colours: one a temperature. Returns what lays them out anew and what shows a temperature.
export function plotsIn(svgs, data, colours) {
  const plots = [histogramIn, planeIn, accuracyIn].map((make, i) => make(svgs[i], data, colours));
  let laidOut;
  return {
    resize(width) {
      if (width === laidOut) return;
      laidOut = width;
      plots.forEach(({ layout }) => layout(width));
    },
    show: (t) => plots.forEach(({ show }) => show(t, colours[t])),
  };
}
