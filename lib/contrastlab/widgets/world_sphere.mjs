// The sphere of the world of points on a canvas, seen from far away: what is nearer is larger and stronger.

import { draggable, keepKeys } from "./common.mjs";

// Four classes, by colour and by shape. No colour is a temperature's; each is 3 : 1 on a light and on a dark page, and
// told apart from the others with any colour vision.
export const CLASS_COLOURS = ["currentColor", "#1f9fb5", "#1f7d3f", "#8b9700"];
const MARGIN = 7; // px, for dots at the rim
const LAYERS = 8; // of depth, drawn from far to near
const DOT = 0.029; // radius of the nearest dots, as a part of the sphere's
const ARC = 2 * Math.PI;

// A function that gives a point as it is seen: to the right, up, towards us.
function turnedBy({ yaw, pitch }) {
  const [sinY, cosY, sinP, cosP] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
  return (x, y, w) => {
    const deep = w * cosY - x * sinY;
    return [x * cosY + w * sinY, y * cosP - deep * sinP, y * sinP + deep * cosP];
  };
}

const SHAPES = [
  (pen, x, y, r) => { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, ARC); },
  (pen, x, y, r) => pen.rect(x - 0.88 * r, y - 0.88 * r, 1.76 * r, 1.76 * r),
  (pen, x, y, r) => polygon(pen, [x, y - 1.25 * r, x + 1.15 * r, y + 0.8 * r, x - 1.15 * r, y + 0.8 * r]),
  (pen, x, y, r) => polygon(pen, [x, y - 1.3 * r, x + 1.3 * r, y, x, y + 1.3 * r, x - 1.3 * r, y]),
];

function polygon(pen, corners) {
  pen.moveTo(corners[0], corners[1]);
  for (let i = 2; i < corners.length; i += 2) pen.lineTo(corners[i], corners[i + 1]);
  pen.closePath();
}

// Three great circles that turn with the sphere, as lists of points.
const ARCS = 48;
const GREAT_CIRCLES = [[0, 1], [0, 2], [1, 2]].map(([a, b]) => Array.from({ length: ARCS + 1 }, (_, k) => {
  const point = [0, 0, 0];
  point[a] = Math.cos((k * ARC) / ARCS);
  point[b] = Math.sin((k * ARC) / ARCS);
  return point;
}));

function drawBall(pen, ink, turned, radius) {
  const light = pen.createRadialGradient(-0.3 * radius, -0.35 * radius, 0.1 * radius, 0, 0, radius);
  light.addColorStop(0, "transparent");
  light.addColorStop(1, ink);
  pen.globalAlpha = 0.1;
  pen.fillStyle = light;
  pen.strokeStyle = ink;
  pen.beginPath();
  pen.arc(0, 0, radius, 0, ARC);
  pen.fill();
  pen.globalAlpha = 0.45;
  pen.lineWidth = 1;
  pen.stroke();
  const circles = GREAT_CIRCLES.map((circle) => circle.map((point) => turned(...point)));
  for (const [alpha, front] of [[0.1, false], [0.28, true]]) {
    pen.globalAlpha = alpha;
    pen.beginPath();
    for (const seen of circles) drawHalf(pen, seen, front, radius);
    pen.stroke();
  }
}

function drawHalf(pen, seen, front, radius) {
  let drawing = false;
  for (let k = 1; k < seen.length; k++) {
    const [[x0, y0, near0], [x, y, near]] = [seen[k - 1], seen[k]];
    const shown = near0 + near > 0 === front;
    if (shown && !drawing) pen.moveTo(x0 * radius, -y0 * radius);
    if (shown) pen.lineTo(x * radius, -y * radius);
    drawing = shown;
  }
}

// The points by layer of depth and by class.
function sorted(z, classes, turned) {
  const layers = Array.from({ length: LAYERS }, () => Array.from({ length: classes }, () => []));
  for (let i = 0; i < z.length; i += 3) {
    const [x, y, near] = turned(z[i], z[i + 1], z[i + 2]);
    const layer = Math.min(LAYERS - 1, Math.floor((LAYERS * (near + 1)) / 2));
    layers[layer][(i / 3) % classes].push(x, -y, near);
  }
  return layers;
}

function drawLayer(pen, ink, layer, depth, radius) {
  pen.globalAlpha = 0.16 + 0.84 * depth ** 1.6;
  layer.forEach((points, which) => {
    pen.fillStyle = which ? CLASS_COLOURS[which] : ink;
    pen.beginPath();
    for (let k = 0; k < points.length; k += 3) {
      SHAPES[which](pen, points[k] * radius, points[k + 1] * radius, DOT * radius * (0.78 + 0.22 * points[k + 2]));
    }
    pen.fill();
  });
}

// The mean vector, from the centre: in the temperature's colour, outlined so that it stands out from both grounds.
function drawMean(pen, ink, colour, [right, up], radius) {
  const [x, y] = [right * radius, -up * radius];
  pen.globalAlpha = 1;
  pen.lineCap = "round";
  for (const [width, dot, style] of [[6, 6.5, ink], [3.5, 5, colour]]) {
    pen.strokeStyle = pen.fillStyle = style;
    pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(0, 0);
    pen.lineTo(x, y);
    pen.stroke();
    pen.beginPath();
    pen.arc(x, y, dot, 0, ARC);
    pen.fill();
  }
}

// z: the points; view: how the sphere is turned; mean: of the points; size: of the canvas in CSS pixels.
export function drawSphere(canvas, { z, view, mean, ink, colour, size }) {
  const pen = canvas.getContext("2d");
  const radius = size / 2 - MARGIN;
  if (radius <= 0 || !canvas.isConnected) return; // Jupyter renders a figure before it puts it into the page
  const scale = canvas.width / size;
  pen.setTransform(scale, 0, 0, scale, canvas.width / 2, canvas.height / 2);
  pen.clearRect(-size, -size, 2 * size, 2 * size);
  const turned = turnedBy(view);
  drawBall(pen, ink, turned, radius);
  sorted(z, CLASS_COLOURS.length, turned).forEach((layer, i) => {
    if (i === LAYERS / 2) drawMean(pen, ink, colour, turned(...mean), radius);
    drawLayer(pen, ink, layer, (i + 1) / LAYERS, radius);
  });
}

const KEY_TURN = Math.PI / 18;
const TURNS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Lets a reader turn the sphere by dragging and by the arrow keys; `seen` follows each turn.
export function makeTurnable(canvas, view, seen) {
  const turn = (yaw, pitch) => {
    view.yaw += yaw;
    view.pitch = Math.min(Math.PI / 2, Math.max(-Math.PI / 2, view.pitch + pitch));
    view.byHand = true;
    seen();
  };
  const placeOf = ({ clientX, clientY }) => ({ x: clientX, y: clientY });
  draggable(canvas, placeOf, (event, last) => {
    const now = placeOf(event), radius = canvas.clientWidth / 2;
    turn((now.x - last.x) / radius, (now.y - last.y) / radius);
    Object.assign(last, now);
  });
  canvas.addEventListener("keydown", (event) => {
    if (!TURNS[event.key]) return;
    event.preventDefault();
    turn(...TURNS[event.key].map((part) => part * KEY_TURN));
  });
  keepKeys(canvas);
}
