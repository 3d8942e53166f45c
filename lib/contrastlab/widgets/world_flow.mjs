// The numbers of the world of points: its start, the gradient of each loss for free points, one step, the measures.
// The same as world_flow.py and contrastlab.geometry. Points lie in a Float64Array as x, y, z, x, y, z, ...

export const CLASSES = 4;
export const LONGEST = 4000; // steps
export const AT_REST = 1e-4; // of the radius: the flow stops when no point moves further in a step
const HARD_SHARE = 0.0819; // of the negatives: 4095 of 50,000, the paper's number
const [TILT, SPREAD, RATE] = [0.9, 0.15, 0.05];
const LEAST = -44; // e to this power is lost beside the positive's 1 in float64, with a thousand negatives too
const FINE = 64; // steps of the table a unit
const POWERS = Float64Array.from({ length: -LEAST * FINE + 1 }, (_, k) => Math.exp(-k / FINE));

// e to the power x from LEAST to 0, to float64's last digits: a table, and Taylor's series for what remains, at most
// 1 / 128. Math.exp is several times slower and would take most of a step.
function power(x) {
  const k = (0.5 - x * FINE) | 0;
  const r = x + k / FINE;
  return POWERS[k] * (1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r / 120)))));
}

export const hasTemperature = (loss) => loss === "contrastive" || loss === "hard_contrastive";

// Numbers in [0, 1) by mulberry32 (Tommy Ettinger, public domain), the same in Python and in JavaScript.
export function randomNumbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Four bunches around one pole, all equally far from it.
export function startPoints(seed, n) {
  const next = randomNumbers(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const z = new Float64Array(3 * n);
  for (let i = 0; i < n; i++) {
    const angle = (2 * Math.PI * (i % CLASSES)) / CLASSES;
    const centre = [Math.sin(TILT) * Math.cos(angle), Math.sin(TILT) * Math.sin(angle), Math.cos(TILT)];
    const point = centre.map((c) => c + SPREAD * normal());
    const length = Math.hypot(...point);
    point.forEach((x, axis) => { z[3 * i + axis] = x / length; });
  }
  return z;
}

// Memory that every step uses again: the gradient, each anchor's loss, and room for the pairs.
export function workspace(n) {
  return {
    gradient: new Float64Array(3 * n), losses: new Float64Array(n), share: new Float64Array(n),
    pairs: new Float64Array((n * (n - 1)) / 2), row: new Float64Array(n),
    nearest: new Float64Array(Math.max(1, Math.round(HARD_SHARE * (n - 1)))),
  };
}

// The gradient of the sum of the anchors' losses with respect to free points, of which only the part along the sphere
// counts; and each anchor's loss. The positive is an exact copy of the point, at similarity 1. Fills room.
export function lossGradient(z, loss, tau, room) {
  room.gradient.fill(0);
  if (loss === "simple") pushFromAll(z, room);
  else if (loss === "contrastive") pushBySoftmax(z, tau, room);
  else pushFromNearest(z, loss === "hard_simple" ? undefined : tau, room);
  const g = room.gradient;
  for (let i = 0; i < z.length; i += 3) {
    const along = g[i] * z[i] + g[i + 1] * z[i + 1] + g[i + 2] * z[i + 2];
    for (let axis = i; axis < i + 3; axis++) g[axis] -= along * z[axis];
  }
}

function sumOf(z) {
  const sum = [0, 0, 0];
  for (let i = 0; i < z.length; i++) sum[i % 3] += z[i];
  return sum;
}

// The simple loss, -1 + the mean of s over the negatives: every point is pushed along the sum of all.
function pushFromAll(z, { gradient, losses }) {
  const sum = sumOf(z), others = z.length / 3 - 1;
  for (let i = 0; i < z.length; i++) gradient[i] = (2 * sum[i % 3]) / others;
  for (let i = 0; i < losses.length; i++) {
    const all = sum[0] * z[3 * i] + sum[1] * z[3 * i + 1] + sum[2] * z[3 * i + 2];
    losses[i] = (all - 1) / others - 1;
  }
}

// The contrastive loss, log(1 + the sum of e^((s - 1) / tau)): s is symmetric, so each exponential serves two anchors.
function pushBySoftmax(z, tau, { gradient, losses, share, pairs }) {
  const n = share.length;
  losses.fill(0); // the sum over the negatives first
  for (let i = 0, pair = 0; i < n; i++) {
    const x = z[3 * i], y = z[3 * i + 1], w = z[3 * i + 2];
    let sum = 0;
    for (let j = i + 1, at = 3 * j; j < n; j++, at += 3, pair++) {
      const lead = (x * z[at] + y * z[at + 1] + w * z[at + 2] - 1) / tau;
      const e = lead > LEAST ? power(lead) : 0;
      pairs[pair] = e;
      sum += e;
      losses[j] += e;
    }
    losses[i] += sum;
  }
  for (let i = 0; i < n; i++) {
    share[i] = 1 / (tau * (1 + losses[i]));
    losses[i] = Math.log1p(losses[i]);
  }
  for (let i = 0, pair = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++, pair++) {
      if (pairs[pair] > 0) pushApart(z, gradient, i, j, pairs[pair] * (share[i] + share[j]));
    }
  }
}

function pushApart(z, gradient, i, j, force) {
  const a = 3 * i, b = 3 * j;
  gradient[a] += force * z[b];
  gradient[a + 1] += force * z[b + 1];
  gradient[a + 2] += force * z[b + 2];
  gradient[b] += force * z[a];
  gradient[b + 1] += force * z[a + 1];
  gradient[b + 2] += force * z[a + 2];
}

// Each anchor's k nearest negatives only, alike (no tau) or by the softmax. Who is near to whom is not symmetric.
function pushFromNearest(z, tau, { gradient, losses, row, nearest }) {
  const n = losses.length, k = nearest.length;
  for (let i = 0; i < n; i++) {
    const x = z[3 * i], y = z[3 * i + 1], w = z[3 * i + 2];
    for (let j = 0, at = 0; j < n; j++, at += 3) row[j] = x * z[at] + y * z[at + 1] + w * z[at + 2];
    row[i] = -Infinity;
    keepLargest(row, nearest);
    const total = nearest.reduce((sum, s) => sum + (tau ? Math.exp((s - 1) / tau) : s), 0);
    losses[i] = tau ? Math.log1p(total) : total / k - 1;
    const scale = tau ? 1 / (tau * (1 + total)) : 1 / k;
    let ties = nearest.reduce((count, s) => count + (s === nearest[0]), 0); // exactly k are kept
    for (let j = 0; j < n; j++) {
      if (row[j] < nearest[0] || (row[j] === nearest[0] && ties-- <= 0)) continue;
      pushApart(z, gradient, i, j, tau ? scale * Math.exp((row[j] - 1) / tau) : scale);
    }
  }
}

// The largest of the values, in rising order, into `largest`.
function keepLargest(values, largest) {
  const last = largest.length - 1;
  largest.fill(-Infinity);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value <= largest[0]) continue;
    let at = 0;
    for (; at < last && largest[at + 1] < value; at++) largest[at] = largest[at + 1];
    largest[at] = value;
  }
}

// One step of gradient descent for all points, back to length 1. Returns how far the fastest point moved.
export function advance(z, loss, tau, room) {
  lossGradient(z, loss, tau, room);
  const rate = hasTemperature(loss) ? RATE * tau : RATE;
  const g = room.gradient;
  let furthest = 0;
  for (let i = 0; i < z.length; i += 3) {
    const x = z[i] - rate * g[i], y = z[i + 1] - rate * g[i + 1], w = z[i + 2] - rate * g[i + 2];
    const length = Math.sqrt(x * x + y * y + w * w);
    furthest = Math.max(furthest, Math.hypot(x / length - z[i], y / length - z[i + 1], w / length - z[i + 2]));
    z[i] = x / length;
    z[i + 1] = y / length;
    z[i + 2] = w / length;
  }
  return furthest;
}

// Uniformity over distinct pairs with t = 2, minus the logarithm of the mean of e^(-2 |x - y|^2).
export function uniformity(z) {
  let total = 0;
  for (let i = 0; i < z.length; i += 3) {
    const x = z[i], y = z[i + 1], w = z[i + 2];
    for (let j = i + 3; j < z.length; j += 3) total += power(4 * (x * z[j] + y * z[j + 1] + w * z[j + 2] - 1));
  }
  const n = z.length / 3;
  return Math.max(0, -Math.log(total / ((n * (n - 1)) / 2)));
}

// The mean similarity of distinct points of one class, from the sums of the classes.
export function tolerance(z) {
  const sums = new Float64Array(3 * CLASSES), sizes = new Float64Array(CLASSES);
  for (let i = 0; i < z.length; i++) sums[3 * (Math.floor(i / 3) % CLASSES) + (i % 3)] += z[i];
  for (let i = 0; i < z.length / 3; i++) sizes[i % CLASSES]++;
  const similar = sums.reduce((total, x) => total + x * x, 0) - z.length / 3;
  return similar / sizes.reduce((total, size) => total + size * (size - 1), 0);
}

// The mean vector; its length is 0 where the points balance.
export function meanOf(z) {
  return sumOf(z).map((x) => x / (z.length / 3));
}

// exp of the entropy of the normalised singular values of the centred points; 0 where all points coincide.
export function effectiveRank(z) {
  const n = z.length / 3, mean = meanOf(z);
  const m = [[0, 0, 0], [0, 0, 0], [0, 0, 0]];
  for (let i = 0; i < z.length; i += 3) {
    for (let a = 0; a < 3; a++) for (let b = 0; b < 3; b++) m[a][b] += (z[i + a] - mean[a]) * (z[i + b] - mean[b]);
  }
  if (m[0][0] + m[1][1] + m[2][2] < 1e-12 * n) return 0;
  const singular = eigenvalues(m).map((value) => Math.sqrt(Math.max(0, value)));
  const total = singular.reduce((a, b) => a + b);
  return Math.exp(singular.reduce((H, value) => (value > 0 ? H - (value / total) * Math.log(value / total) : H), 0));
}

// Of a symmetric 3 x 3 matrix, by Jacobi's rotations; m is used up.
function eigenvalues(m) {
  for (let sweep = 0; sweep < 12; sweep++) {
    for (const [p, q, r] of [[0, 1, 2], [0, 2, 1], [1, 2, 0]]) {
      if (m[p][q] === 0) continue;
      const theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
      const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
      const c = 1 / Math.hypot(t, 1), s = t * c;
      const [rp, rq] = [m[r][p], m[r][q]];
      m[p][p] -= t * m[p][q];
      m[q][q] += t * m[p][q];
      m[p][q] = m[q][p] = 0;
      m[r][p] = m[p][r] = c * rp - s * rq;
      m[r][q] = m[q][r] = s * rp + c * rq;
    }
  }
  return [m[0][0], m[1][1], m[2][2]];
}
