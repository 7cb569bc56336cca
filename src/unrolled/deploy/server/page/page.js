// The page: what is typed goes to every model, and only the newest answers are shown.

import { Trouble, explain, fetchModels, predict } from "./api.js";
import { Card } from "./cards.js";
import { element, percent, plural, signed } from "./elements.js";
import { SAMPLES } from "./samples.js";
import { keyOf, textWithout } from "./words.js";

const PAUSE_MS = 250;
const MOST_RETRIES = 20;

const at = (id) => document.getElementById(id);
const off = new Map();
let cards = [];
let text = "";
let answered = "";
let asked = null;
let timer = 0;
let retryTimer = 0;
let retries = 0;
let target = "";

// A new question makes the one before stale: its requests are aborted, and its answers ignored.
function begin() {
  asked?.abort();
  clearTimeout(retryTimer);
  asked = new AbortController();
  return asked.signal;
}

async function attempt(signal, work) {
  try {
    await work(signal);
    if (signal.aborted) { return; }
    retries = 0;
    at("trouble").hidden = true;
  } catch (error) {
    if (signal.aborted) { return; }
    if (!(error instanceof Trouble)) { throw error; }
    // What is left of another text's answers must not stand beside this one.
    for (const card of cards) {
      if (answered !== text) { card.clear(); } else if (!card.explanation) { card.forget(); }
      if (off.size) { card.unanswered(); }
    }
    showTrouble(error);
  } finally {
    if (!signal.aborted) { for (const card of cards) { card.busy(false); } }
  }
}

function showTrouble(trouble) {
  const again = trouble.retrySeconds && retries < MOST_RETRIES ? ` Trying again in ${plural(trouble.retrySeconds, "second")}.` : "";
  const told = at("trouble").querySelector("p");
  // The same words again would be read out again.
  if (at("trouble").hidden || told.textContent !== trouble.message + again) { told.textContent = trouble.message + again; }
  at("trouble").hidden = false;
  if (again) {
    retries += 1;
    retryTimer = setTimeout(renew, trouble.retrySeconds * 1000);
  }
}

function renew() {
  if (cards.length) { void attempt(begin(), answer); } else { void attempt(begin(), open); }
}

async function open(signal) {
  const models = await fetchModels();
  cards = models.map((model, number) => new Card(model, number, { onToggle: toggle, onPoint: readTo }));
  at("cards").replaceChildren(...cards.map((card) => card.root));
  const labels = new Set(models.flatMap((model) => model.labels));
  at("label").append(...Array.from(labels, (label) => element("option", { value: label }, label)));
  if (text) { await answer(signal); }
}

async function answer(signal) {
  const empty = !text.trim();
  at("hint").hidden = !empty;
  at("tools").hidden = at("table").hidden = empty;
  if (empty) {
    for (const card of cards) { card.clear(); }
    at("off").hidden = true;
    return;
  }
  for (const card of cards) { card.busy(true); }
  const results = await predict(texts(), signal);
  if (signal.aborted) { return; }
  answered = text;
  target = at("label").value || likeliest(results);
  showAnswers(results);
  say(results.map((found) => summary(found.model, found.predictions[0])).join(" "));
  await explainAll(cards, signal);
}

// The text as typed and, where words are off, the text without them.
const texts = () => (off.size ? [text, textWithout(text, off.values())] : [text]);

// One after another: a reader who types on leaves at most one explanation behind that nobody wants any more.
async function explainAll(wanted, signal) {
  for (const card of wanted) {
    await explainOne(card, signal);
    if (signal.aborted) { return; }
  }
  showTable();
  setPosition();
  showMarks();
}

// The label that the models together hold likeliest, so that all cards explain the same one.
function likeliest(results) {
  const sums = new Map();
  for (const { predictions: [{ probabilities }] } of results) {
    for (const [label, share] of Object.entries(probabilities)) { sums.set(label, (sums.get(label) ?? 0) + share); }
  }
  return Array.from(sums).reduce((one, other) => (other[1] > one[1] ? other : one))[0];
}

async function explainOne(card, signal) {
  const label = card.model.labels.includes(target) ? target : null;
  const found = await explain(card.model.name, text, label, signal);
  if (signal.aborted) { return; }
  card.explain(text, found);
  card.busy(false);
}

function showAnswers(results) {
  results.forEach((found, number) => {
    const [whole, now] = found.predictions;
    cards[number].answer(whole.probabilities, now?.probabilities ?? null, target);
  });
}

const summary = (model, { label, probabilities }) => `${model}: ${label}, ${percent(probabilities[label])}.`;

function say(sentence) { at("live").textContent = sentence; }

// Words

function toggle(word) {
  if (!off.delete(keyOf(word))) { off.set(keyOf(word), [word.start, word.end]); }
  showMarks();
  void attempt(begin(), compare);
}

async function compare(signal) {
  const results = await predict(texts(), signal);
  if (signal.aborted) { return; }
  showAnswers(results);
  const changes = cards.map((card) => (card.change ? `${card.model.name}: ${card.change}.` : ""));
  say(`${plural(off.size, "word")} off. ${changes.join(" ")}`);
  // A toggle may have cut short the explanations of a new text.
  const missing = cards.filter((card) => !card.explanation);
  if (missing.length) { await explainAll(missing, signal); }
}

function showMarks() {
  const ranges = Array.from(off.values());
  const position = Number(at("position").value);
  for (const card of cards) { if (card.explanation) { card.mark(ranges, position); } }
  at("target").textContent = `“${target}”${off.size ? " in the whole text" : ""}`;
  at("off").hidden = !off.size;
  at("off").querySelector("span").textContent = `${plural(off.size, "word")} switched off`;
  const total = Number(at("position").max);
  at("position-text").textContent = position < total ? `${position} of ${total}` : plural(total, "word");
  at("position").setAttribute("aria-valuetext", readOut(position, total));
}

// What the slider says where the curves cannot be seen.
function readOut(position, total) {
  const shown = cards.filter((card) => card.explanation);
  const word = shown[0]?.explanation.words[position - 1]?.text ?? "nothing";
  const shares = shown.map((card) => `${card.model.name} ${card.shareAt(position)}`);
  return `after ${position} of ${plural(total, "word")}, ${word}: ${shares.join(", ")}`;
}

function readTo(position) {
  at("position").value = position;
  showMarks();
}

function setPosition() {
  const total = Math.max(...cards.map((card) => card.explanation?.words.length ?? 0), 0);
  at("position").max = total;
  at("position").value = total;
}

// Rows by place in the text, since models may cut it into different words.
function showTable() {
  const shown = cards.filter((card) => card.explanation);
  const rows = new Map();
  shown.forEach((card, column) => {
    for (const word of card.explanation.words) {
      const key = keyOf(word);
      if (!rows.has(key)) { rows.set(key, { word, figures: shown.map(() => "–") }); }
      rows.get(key).figures[column] = word.read ? signed(word.contribution) : "not read";
    }
  });
  const ordered = Array.from(rows.values()).sort((one, other) => one.word.start - other.word.start);
  const head = shown.map((card) => element("th", { scope: "col", class: "number" }, `${card.model.name} (${card.explanation.label})`));
  at("table").querySelector("thead").replaceChildren(element("tr", {}, element("th", { scope: "col" }, "word"), ...head));
  at("table").querySelector("tbody").replaceChildren(...ordered.map(({ word, figures }) =>
    element("tr", {}, element("th", { scope: "row" }, word.text), ...figures.map((figure) => element("td", { class: "number" }, figure)))));
}

// The text field

function typed() {
  const count = Array.from(at("text").value).length;
  at("count").textContent = count ? plural(count, "character") : "";
  at("clear").hidden = !count;
  if (at("text").value === text) { return; }
  text = at("text").value;
  off.clear();
  const signal = begin();
  for (const card of cards) { card.busy(true); card.explanation = null; }
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (cards.length) { void attempt(signal, answer); } else { void attempt(signal, open); }
  }, PAUSE_MS);
}

function put(sample) {
  at("text").value = sample;
  typed();
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  at("theme").textContent = dark ? "Light" : "Dark";
}

const prefersDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
at("theme").textContent = prefersDark() ? "Light" : "Dark";
at("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? (prefersDark() ? "dark" : "light");
  setTheme(now !== "dark");
});
for (const [name, sample] of SAMPLES) {
  const button = element("button", { type: "button", class: "quiet" }, name);
  button.addEventListener("click", () => put(sample));
  document.querySelector(".samples").append(button);
}
at("text").addEventListener("input", typed);
at("clear").addEventListener("click", () => { put(""); at("text").focus(); });
at("label").addEventListener("change", () => renew());
at("position").addEventListener("input", showMarks);
at("figures").addEventListener("change", () => at("cards").classList.toggle("figures", at("figures").checked));
at("off").querySelector("button").addEventListener("click", () => {
  off.clear();
  showMarks();
  void attempt(begin(), compare);
});
at("trouble").querySelector("button").addEventListener("click", () => { retries = 0; renew(); });

text = at("text").value;
void attempt(begin(), open);
