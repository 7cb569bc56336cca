// Words of a text as buttons, and texts without some of their words.
// Places are counted in code points, as the server counts them; JavaScript's own indices would split emoji.

import { element, signed } from "./elements.js";

const STRONG = 0.35;
const DEEPEST_TINT = 80;

// What stands between two words: what belongs to the first, the space, what belongs to the second. A line may
// break on either side of a button, and would begin with a comma.
function parted(gap) {
  const [, closing, between, ahead] = /^(\S*)((?:\s[^]*\s|\s)?)(\S*)$/.exec(gap);
  return [closing, between, ahead];
}

export const keyOf = (word) => `${word.start}-${word.end}`;

// A space takes a word's place, so that its neighbours stay two words.
export function textWithout(text, ranges) {
  const points = Array.from(text);
  for (const [start, end] of ranges) {
    points.fill("", start, end);
    points[start] = " ";
  }
  return points.join("");
}

const overlaps = (word, ranges) => ranges.some(([start, end]) => word.start < end && start < word.end);

export class WordList {
  // onToggle receives a word that was pressed.
  constructor(name, onToggle) {
    this.root = element("div", { class: "words", role: "group", "aria-label": `Words as ${name} sees them. Press one to switch it off.` });
    this.onToggle = onToggle;
    this.buttons = [];
    this.words = [];
    this.root.addEventListener("click", (event) => this.press(event));
    this.root.addEventListener("keydown", (event) => this.move(event));
    this.root.addEventListener("focusin", (event) => this.rest(event.target));
  }

  show(text, explanation) {
    const points = Array.from(text);
    const parts = [];
    let place = 0;
    let opening = "";
    this.words = explanation.words;
    this.largest = Math.max(...this.words.map((word) => Math.abs(word.contribution ?? 0)), 0.2);
    this.buttons = this.words.map((word, number) => {
      if (!number) { parts.push(points.slice(0, word.start).join("")); }
      place = Math.max(place, word.end);
      const button = this.button(word, explanation.label);
      button.tabIndex = number ? -1 : 0;
      const next = this.words[number + 1]?.start ?? points.length;
      const [closing, between, ahead] = parted(points.slice(place, next).join(""));
      parts.push(element("span", { class: "glued" }, opening, button, closing), between);
      opening = ahead;
      return button;
    });
    this.root.replaceChildren(...parts, this.words.length ? opening : text);
  }

  button(word, label) {
    const button = element("button", { type: "button", class: "word", "aria-pressed": "false" }, word.text);
    if (!word.read) {
      button.classList.add("unread");
      button.setAttribute("aria-label", `${word.text}, not read: the text is longer than the model`);
      return button;
    }
    const share = Math.abs(word.contribution) / this.largest;
    const side = word.contribution < 0 ? "against" : "for";
    button.classList.add(side);
    button.classList.toggle("strong", share >= STRONG);
    button.style.setProperty("--share", `${(share * DEEPEST_TINT).toFixed(1)}%`);
    button.dataset.figure = signed(word.contribution);
    button.title = `${signed(word.contribution)}, ${side} ${label}`;
    button.setAttribute("aria-label", `${word.text}, ${signed(word.contribution)}, ${side} ${label}`);
    return button;
  }

  // Shows which words are off and which come after the reading position.
  mark(offRanges, position) {
    this.words.forEach((word, number) => {
      this.buttons[number].setAttribute("aria-pressed", String(overlaps(word, offRanges)));
      this.buttons[number].classList.toggle("ahead", number >= position);
    });
  }

  press(event) {
    const number = this.buttons.indexOf(event.target);
    if (number >= 0) { this.onToggle(this.words[number]); }
  }

  rest(button) {
    if (!this.buttons.includes(button)) { return; }
    for (const other of this.buttons) { other.tabIndex = other === button ? 0 : -1; }
  }

  move(event) {
    const place = this.buttons.indexOf(document.activeElement);
    const last = this.buttons.length - 1;
    const target = { ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, Home: 0, End: last }[event.key];
    if (place < 0 || target === undefined || event.ctrlKey || event.altKey || event.metaKey) { return; }
    event.preventDefault();
    this.buttons[Math.min(Math.max(target, 0), last)].focus();
  }
}
