// Two small charts over the words of a text: the probability while reading, and the gradient through time.

import { drawing, element, percent, plural, power, scientific } from "./elements.js";

const WIDTH = 340;
const LEFT = 40;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 18;

// The last step that is over once so many words are read; -1 before the first.
function stepAt(counts, position) {
  let found = -1;
  counts.forEach((count, step) => { if (count <= position) { found = step; } });
  return found;
}

class Chart {
  constructor(title, height, describe) {
    this.height = height;
    this.describe = describe;
    this.svg = drawing("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img" });
    this.reader = element("span", { class: "reader" });
    this.root = element("figure", {}, element("figcaption", {}, element("b", {}, title), this.reader), this.svg);
  }

  // Calls back with the number of words under the pointer.
  follow(onPoint) {
    this.svg.addEventListener("pointermove", (event) => {
      const box = this.svg.getBoundingClientRect();
      const share = (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
      onPoint(Math.round(Math.min(Math.max(share, 0), 1) * this.total));
    });
  }

  x(count) { return LEFT + (count / Math.max(this.total, 1)) * (WIDTH - LEFT - RIGHT); }
  y(share) { return TOP + (1 - share) * (this.height - TOP - BOTTOM); }

  frame(ticks) {
    const parts = [];
    for (const [share, text] of ticks) {
      parts.push(drawing("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: this.y(share), y2: this.y(share) }));
      parts.push(drawing("text", { x: LEFT - 6, y: this.y(share) + 3.5, "text-anchor": "end" }, text));
    }
    const below = this.height - 3;
    parts.push(drawing("text", { x: LEFT, y: below }, "0"));
    parts.push(drawing("text", { x: WIDTH - RIGHT, y: below, "text-anchor": "end" }, plural(this.total, "word")));
    return parts;
  }

  cursor(position) {
    const step = stepAt(this.counts, position);
    this.svg.querySelectorAll(".cursor, .dot").forEach((node) => node.remove());
    this.reader.textContent = this.describe(step, step < 0 ? 0 : this.counts[step]);
    if (step < 0) { return; }
    const x = this.x(this.counts[step]);
    const end = this.height - BOTTOM;
    this.svg.append(drawing("line", { class: "cursor", x1: x, x2: x, y1: TOP, y2: end }));
    this.svg.append(drawing("circle", { class: this.stroke, cx: x, cy: this.y(this.shares[step]), r: 3.5 }));
  }
}

// explanation.reading: [words read, probability]; a recurrent state gave it in one pass, or prefixes did.
export function readingChart(explanation, total) {
  const byState = explanation.reading_by === "state";
  const chart = new Chart("While reading", 128, (step, count) =>
    step < 0 ? "before the first step" : `after ${count}: ${percent(chart.shares[step])} ${explanation.label}`);
  chart.total = total;
  chart.counts = explanation.reading.map(([count]) => count);
  chart.shares = explanation.reading.map(([, share]) => share);
  chart.stroke = byState ? "dot" : "dot prefixes";
  const line = chart.counts.map((count, step) => `${chart.x(count).toFixed(1)},${chart.y(chart.shares[step]).toFixed(1)}`);
  chart.svg.append(
    ...chart.frame([[0, "0 %"], [0.5, "50 %"], [1, "100 %"]]),
    drawing("polyline", { class: byState ? "curve" : "curve prefixes", points: line.join(" ") }),
  );
  const ends = chart.shares.length ? `, from ${percent(chart.shares[0])} to ${percent(chart.shares.at(-1))}` : "";
  chart.svg.setAttribute("aria-label", `Probability of ${explanation.label} as the text is read${ends}. The slider above reads it out.`);
  chart.root.append(element("p", { class: "note" }, byState
    ? "One pass of the recurrent state."
    : `${noCurve(explanation)} The broken line answers the text cut off at that word, each time anew.`));
  return chart;
}

function noCurve(explanation) {
  return explanation.gradient_reason === "not recurrent"
    ? "No reading curve: this model is not recurrent and carries no state from word to word."
    : `No reading curve: the model ${explanation.gradient_reason}.`;
}

// Norms span many orders of magnitude, which only a logarithmic axis shows.
export function gradientChart(explanation, total) {
  const norms = explanation.gradient;
  const positive = norms.filter((norm) => norm > 0);
  const top = Math.ceil(Math.log10(Math.max(...positive, 1e-12)));
  const bottom = Math.max(Math.min(Math.floor(Math.log10(Math.min(...positive, 1))), top - 1), top - 12);
  const chart = new Chart("Gradient through time", 104, (step, count) =>
    step < 0 ? "before the first step" : `after ${count}: ${scientific(norms[step])}`);
  chart.total = total;
  chart.counts = explanation.gradient_words;
  chart.stroke = "dot";
  chart.shares = norms.map((norm) => (norm > 0 ? Math.max((Math.log10(norm) - bottom) / (top - bottom), 0) : 0));
  const line = chart.counts.map((count, step) => `${chart.x(count).toFixed(1)},${chart.y(chart.shares[step]).toFixed(1)}`);
  const base = chart.y(0);
  const ground = [`${chart.x(chart.counts[0])},${base}`, ...line, `${chart.x(chart.counts.at(-1))},${base}`];
  chart.svg.append(
    ...chart.frame([[0, power(bottom)], [1, power(top)]]),
    drawing("polygon", { class: "under", points: ground.join(" ") }),
  );
  chart.svg.setAttribute("aria-label", `Norm of the gradient of the score with respect to the state, from ${scientific(norms[0])} at the first step to ${scientific(norms.at(-1))} at the last.`);
  chart.root.append(element("p", { class: "note" }, "How much the answer would change with the state at that step; logarithmic."));
  return chart;
}
