// The three curves of the world of points over its steps: uniformity, tolerance, effective rank.

import { node, place } from "./common.mjs";
import { LONGEST } from "./world_flow.mjs";

const PANELS = [
  { name: "uniformity", low: 0, high: 2.2, marks: [0, 1, 2] },
  { name: "tolerance", low: 0, high: 1, marks: [0, 0.5, 1] },
  { name: "effective rank", low: 1, high: 3, marks: [1, 2, 3] },
];
const [HEAD, SIDE, FOOT, KEY, GAP] = [24, 24, 20, 18, 12]; // px: around the panels, for the last line, between panels
const ROW = 17; // px: where a panel's name and value do not fit side by side
const along = (steps) => Math.log1p(steps) / Math.log1p(LONGEST); // 0 at the start, 1 at the longest

// The area of each panel: below each other, or side by side under the sphere of a narrow page.
function areas(width, height, narrow) {
  const bottom = height - KEY - FOOT;
  if (narrow) {
    const wide = (width + GAP) / PANELS.length;
    return PANELS.map((_, i) => ({ left: i * wide + SIDE, right: (i + 1) * wide - GAP - 2, top: HEAD + ROW, bottom }));
  }
  const high = (bottom + GAP) / PANELS.length;
  return PANELS.map((_, i) => ({ left: SIDE, right: width - 6, top: i * high + HEAD, bottom: (i + 1) * high - GAP }));
}

function scaled(panel, { left, right, top, bottom }) {
  return {
    x: (steps) => left + along(steps) * (right - left),
    y: (value) => bottom - ((value - panel.low) / (panel.high - panel.low)) * (bottom - top),
  };
}

// What no step changes: lines, marks and names. Steps are written below `named` panels only.
function drawFrame(svg, panel, { left, right, top, bottom }, { x, y }, { narrow, named }) {
  for (const mark of panel.marks) {
    node(svg, "line", { x1: left, x2: right, y1: y(mark), y2: y(mark), class: mark === panel.low ? "axis" : "grid" });
    node(svg, "text", { x: left - 5, y: y(mark) + 4, "text-anchor": "end" }, mark);
  }
  for (const steps of narrow ? [0, 30, 1000] : [0, 10, 100, 1000]) {
    node(svg, "line", { x1: x(steps), x2: x(steps), y1: bottom, y2: bottom + 4, class: "axis" });
    if (named) node(svg, "text", { x: x(steps), y: bottom + 16, "text-anchor": "middle" }, steps);
  }
  node(svg, "text", { x: left - (narrow ? 18 : 0), y: top - 9 - (narrow ? ROW : 0) }, panel.name);
}

function movingParts(svg, { right, top }) {
  const group = node(svg, "g", {});
  return {
    before: node(group, "path", { class: "before" }),
    curve: node(group, "path", { class: "curve" }),
    dot: node(group, "circle", { r: 4, class: "dot" }),
    value: node(group, "text", { x: right, y: top - 9, "text-anchor": "end", class: "value" }),
  };
}

const pathOf = (history, { x, y }, which) =>
  "M" + history.map(({ steps, values }) => `${x(steps).toFixed(1)} ${y(values[which]).toFixed(1)}`).join("L");

// What draws the curves into svg: `layout` at a size, `show` for a run and the one before it.
export function curvesIn(svg) {
  let panels = [], key, shown;
  const layout = (width, height, narrow) => {
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    panels = areas(width, height, narrow).map((area, i) => {
      const scale = scaled(PANELS[i], area);
      drawFrame(svg, PANELS[i], area, scale, { narrow, named: narrow || i === PANELS.length - 1 });
      return { ...scale, ...movingParts(svg, area) };
    });
    key = node(svg, "text", { x: narrow ? 6 : SIDE, y: height - 4 });
    showBefore(shown);
  };
  const showBefore = (before) => {
    shown = before;
    panels.forEach((panel, which) => {
      place(panel.before, before ? { d: pathOf(before.history, panel, which), stroke: before.colour } : { d: "" });
    });
    place(key, {}, before ? `steps, log scale; dashed: ${before.name}` : "steps, log scale");
  };
  const show = ({ world, history, before }) => {
    const { steps, values } = history.at(-1);
    panels.forEach((panel, which) => {
      place(panel.curve, { d: pathOf(history, panel, which), stroke: world.colour });
      place(panel.dot, { cx: panel.x(steps), cy: panel.y(values[which]), fill: world.colour });
      place(panel.value, {}, values[which].toFixed(2));
    });
    if (before !== shown) showBefore(before);
  };
  return { layout, show };
}
