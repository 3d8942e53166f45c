// The numbers of the figures: the same functions as contrastlab.losses and hardness, on one anchor, in float64.

export function relativePenalty(s, tau) {
  const hardest = s.reduce((a, b) => Math.max(a, b), -Infinity);
  const weight = s.map((x) => Math.exp((x - hardest) / tau)); // shifted by the maximum: never overflows
  const sum = weight.reduce((a, b) => a + b, 0);
  return weight.map((w) => w / sum);
}

export function entropy(r) {
  return r.reduce((H, share) => (share > 0 ? H - share * Math.log(share) : H), 0);
}

export function effectiveNegatives(r) {
  return Math.exp(entropy(r));
}

export function penaltyInterval(s, r, share) {
  const lowestFirst = hardestFirst(s).reverse();
  let lowest = lowestFirst[0];
  let below = 0;
  for (const j of lowestFirst) {
    if (below > (1 - share) * (1 + 1e-6)) break; // the same sum and rounding margin as contrastlab.hardness
    lowest = j;
    below += r[j];
  }
  return s[lowest];
}

export function hardestFirst(s) {
  return s.map((_, j) => j).sort((a, b) => s[b] - s[a]);
}

// P of Eq. 2, with the positive first in s and in what is returned: a softmax as r is, over one candidate more.
export const probabilities = relativePenalty;

export function contrastiveLoss([sPos, ...sNeg], tau) {
  const nearest = Math.max(...sNeg);
  const sum = sNeg.reduce((total, s) => total + Math.exp((s - nearest) / tau), 0);
  const lead = Math.log(sum) + (nearest - sPos) / tau;
  return Math.max(lead, 0) + Math.log1p(Math.exp(-Math.abs(lead))); // softplus, which keeps the digits of a small loss
}

// Minus the slope of the loss by each angle on the unit circle (radians; anchor, positive, negatives): the force along
// the tangent, counter-clockwise if positive. Together they are 0, since the loss sees only differences of angles.
export function circleForces([anchor, ...others], tau) {
  const P = probabilities(others.map((angle) => Math.cos(angle - anchor)), tau);
  const pull = P.slice(1).reduce((sum, share) => sum + share, 0); // not 1 - P[0], which rounds to 0 when matched
  const forces = others.map((angle, j) => ((j ? P[j] : -pull) / tau) * Math.sin(angle - anchor));
  return [forces.reduce((sum, force) => sum - force, 0), ...forces];
}

// The strongest push that one negative can give the anchor while the other candidates stay, at similarities `rest`:
// the top of P / tau sqrt(1 - s^2). There (1 - P) / tau = s / (1 - s^2); with s, one side falls and the other rises.
export function strongestPush(rest, tau) {
  const share = (s) => probabilities([s, ...rest], tau)[0];
  let [low, high] = [0, 1];
  while (high - low > 1e-9) {
    const s = (low + high) / 2;
    if ((1 - share(s)) / tau > s / (1 - s * s)) low = s;
    else high = s;
  }
  return (share(low) / tau) * Math.sqrt(1 - low * low);
}
