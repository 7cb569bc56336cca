// One card for each served model: verdict, bars, words, charts.

import { gradientChart, readingChart } from "./charts.js";
import { element, percent, plural, points } from "./elements.js";
import { WordList } from "./words.js";

const MOST_BARS = 6;

const best = (probabilities) => Object.entries(probabilities).reduce((one, other) => (other[1] > one[1] ? other : one));

export class Card {
  constructor(model, number, { onToggle, onPoint }) {
    this.model = model;
    this.words = new WordList(model.name, (word) => { if (this.explanation) { onToggle(word); } });
    this.onPoint = onPoint;
    this.charts = [];
    this.explanation = null;
    const heading = element("h3", { id: `model-${number}` }, model.name);
    const kind = `${model.architecture}${model.precision === "float32" ? "" : `, ${model.precision}`}`;
    this.label = element("span", { class: "label" });
    this.figure = element("span", { class: "figure" });
    this.bars = element("ul", { class: "bars" });
    this.delta = element("p", { class: "delta" });
    this.rest = element("div");
    this.root = element(
      "article", { class: "card", "aria-labelledby": `model-${number}` },
      element("header", {}, heading, kind === model.name ? "" : element("span", { class: "kind soft" }, kind)),
      element("p", { class: "verdict" }, this.label, this.figure), this.bars, this.delta, this.rest,
    );
    this.clear();
  }

  busy(now) { this.root.setAttribute("aria-busy", String(now)); }

  clear() {
    this.whole = null;
    this.label.textContent = "–";
    this.figure.textContent = this.delta.textContent = "";
    this.bars.replaceChildren(...this.model.labels.slice(0, MOST_BARS).map((name) => this.bar(name, 0, false, null, "–")));
    this.forget();
  }

  forget() {
    this.explanation = null;
    this.charts = [];
    this.rest.replaceChildren();
  }

  // whole: label to probability for the text as typed; now: for the text without the words that are off, or null.
  // target: the label whose change is told.
  answer(whole, now, target) {
    this.whole = whole;
    const shown = now ?? whole;
    const [label, share] = best(shown);
    this.label.textContent = label;
    this.figure.textContent = percent(share);
    const ranked = this.model.labels.length > MOST_BARS
      ? [...this.model.labels].sort((one, other) => whole[other] - whole[one]).slice(0, MOST_BARS)
      : this.model.labels;
    this.bars.replaceChildren(...ranked.map((name) => this.bar(name, shown[name], name === label, now ? whole[name] : null)));
    const hidden = this.model.labels.length - ranked.length;
    if (hidden > 0) { this.bars.append(element("li", {}, element("span", { class: "name" }, plural(hidden, "more label")))); }
    this.tell(whole, now, target in whole ? target : best(whole)[0]);
  }

  bar(name, share, isBest, before, figure = percent(share)) {
    const fill = element("span", { class: "fill" });
    fill.style.setProperty("--width", `${share * 100}%`);
    const track = element("span", { class: "track", "aria-hidden": "true" }, fill);
    if (before !== null) {
      const mark = element("span", { class: "before" });
      mark.style.setProperty("--before", `${before * 100}%`);
      track.append(mark);
    }
    return element("li", isBest ? { class: "best" } : {},
      element("span", { class: "name", title: name }, name), track, element("span", { class: "figure" }, figure));
  }

  // The words that are off could not be asked about: what stands there is the whole text's answer again.
  unanswered() {
    if (!this.whole) { return; }
    this.answer(this.whole, null, "");
    this.delta.textContent = "No answer yet without the words that are off.";
  }

  tell(whole, now, target) {
    this.delta.replaceChildren();
    this.change = "";
    if (!now) { return; }
    const change = points(now[target] - whole[target]);
    const flip = best(now)[0] === best(whole)[0] ? "" : `, no longer ${best(whole)[0]}`;
    this.change = `${target} ${change}${flip}`;
    this.delta.append(element("strong", {}, change), ` for ${target}, from ${percent(whole[target])}${flip}`);
  }

  explain(text, explanation) {
    this.explanation = explanation;
    this.words.show(text, explanation);
    const total = explanation.words.length;
    this.charts = [];
    if (explanation.reading.length) { this.charts.push(readingChart(explanation, total)); }
    if (explanation.gradient?.length) { this.charts.push(gradientChart(explanation, total)); }
    for (const chart of this.charts) { chart.follow(this.onPoint); }
    const notes = [];
    if (!total) { notes.push("There is no word in this text."); }
    if (explanation.group_size > 1) {
      notes.push(`The text is long: ${explanation.group_size} neighbouring words share one figure.`);
    }
    const unread = explanation.words.filter((word) => !word.read).length;
    if (unread) { notes.push(`${plural(unread, "word")} at the beginning lie${unread === 1 ? "s" : ""} beyond what the model reads.`); }
    if (explanation.reading.length && !explanation.gradient && explanation.gradient_reason !== "not recurrent") {
      notes.push(`No gradient: ${explanation.gradient_reason}.`);
    }
    this.rest.replaceChildren(
      this.words.root, ...notes.map((note) => element("p", { class: "note" }, note)), ...this.charts.map((chart) => chart.root),
    );
  }

  shareAt(position) {
    const read = this.explanation.reading.findLast(([count]) => count <= position);
    return read ? `${percent(read[1])} ${this.explanation.label}` : "nothing yet";
  }

  mark(offRanges, position) {
    this.words.mark(offRanges, position);
    for (const chart of this.charts) { chart.cursor(position); }
  }
}
