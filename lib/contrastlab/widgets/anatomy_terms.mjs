// The table of the anatomy figure: what each candidate contributes, with a bar for its share P.

import { percent, place, rounded } from "./common.mjs";

const SUPERSCRIPTS = [..."⁰¹²³⁴⁵⁶⁷⁸⁹"];

// Three digits as a reader writes them: 14.4, 0.0357, 2.69·10⁴³.
export function number(x) {
  if (x === 0 || (x >= 0.001 && x < 10000)) return `${Number(x.toPrecision(3))}`;
  const [digits, power] = x.toExponential(2).split("e");
  const raised = [...`${Math.abs(power)}`].map((digit) => SUPERSCRIPTS[digit]).join("");
  return `${digits}·10${power < 0 ? "⁻" : ""}${raised}`;
}

export const share = (P) => (P < 5e-5 ? "0\u00a0%" : percent(P));
export const size = (force) => (Math.abs(force) < 5e-4 ? "0" : number(Math.abs(force)));
const turning = (force) => (size(force) === "0" ? "0" : `${size(force)}\u00a0${force > 0 ? "↺" : "↻"}`);

const HEADINGS = {
  loss: ["s", "e<sup>s/τ</sup>", "share P"],
  forces: ["s", "force", "share P"],
};

function rowOf(body, name) {
  const row = body.insertRow();
  row.innerHTML = `<th scope="row"></th>${"<td><span></span></td>".repeat(3)}`;
  row.cells[0].textContent = name;
  row.cells[3].prepend(document.createElement("i"));
  return { row, texts: row.querySelectorAll("span"), bar: row.querySelector("i") };
}

function fill({ texts, bar }, s, middle, P, colour) {
  [s, middle, P === undefined ? "" : share(P)].forEach((text, column) => place(texts[column], {}, text));
  bar.style.transform = `scaleX(${(P ?? 0).toFixed(4)})`;
  bar.style.background = colour;
}

// A function that writes a state into the table, whose rows stay as long as the names do.
export function termsIn(table) {
  let rows, last, drawn;
  const start = ({ show, names, labels }) => {
    const headings = HEADINGS[show].map((text) => `<th scope="col">${text}</th>`).join("");
    table.innerHTML = `<thead><tr><td></td>${headings}</tr></thead><tbody></tbody>`;
    const body = table.tBodies[0];
    rows = names.slice(1).map((name, j) => rowOf(body, j ? name : `${name} ${labels[1]}`));
    last = rowOf(body, show === "loss" ? "sum" : "anchor z");
    last.row.className = "last";
  };
  return (state) => {
    const { show, names, s, weights, P, forces, colour } = state;
    if (drawn !== show + names) start(state);
    drawn = show + names;
    const middle = (j) => (show === "loss" ? number(weights[j]) : turning(forces[j + 1]));
    rows.forEach((row, j) => fill(row, rounded(s[j]), middle(j), P[j], colour));
    if (show === "loss") fill(last, "", number(weights.reduce((a, b) => a + b)), 1);
    else fill(last, "", turning(forces[0]));
  };
}
