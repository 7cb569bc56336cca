// Elements and figures. Whatever comes from a text, a label or a name goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) { node.setAttribute(name, value); }
  node.append(...children);
  return node;
}

export const element = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const drawing = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

export function percent(share) {
  if (share > 0.9995 && share < 1) { return "> 99.9 %"; }
  if (share < 0.0005 && share > 0) { return "< 0.1 %"; }
  return `${(share * 100).toFixed(1)} %`;
}

export function signed(value) {
  const text = Math.abs(value).toFixed(2);
  if (Number(text) === 0) { return "0.00"; }
  return `${value < 0 ? "−" : "+"}${text}`;
}

export function points(difference) {
  const size = Math.abs(difference * 100).toFixed(1);
  if (Number(size) === 0) { return "no change"; }
  return `${difference < 0 ? "−" : "+"}${size} points`;
}

const DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

export function power(exponent) {
  if (exponent === 0) { return "1"; }
  const raised = Array.from(String(Math.abs(exponent)), (digit) => DIGITS[digit]).join("");
  return `10${exponent < 0 ? "⁻" : ""}${raised}`;
}

export function scientific(value) {
  if (value === 0 || (value >= 0.01 && value < 1000)) { return String(Number(value.toPrecision(2))); }
  const [digits, exponent] = value.toExponential(1).split("e");
  return `${digits} · ${power(Number(exponent))}`;
}

export const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
