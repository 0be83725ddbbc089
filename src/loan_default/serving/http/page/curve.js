// Drawings of the page: where a score lies, and how it moves with one field.

const NAMESPACE = "http://www.w3.org/2000/svg";

function shape(name, attributes, text) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(share && share < 0.01 ? digits + 1 : digits)} %`;

// Draw the share of the training population that has a lower PD.
export function drawScale(svg, share) {
  const x = 8 + 384 * share;
  svg.replaceChildren(
    shape("rect", { x: 8, y: 8, width: 384, height: 8, rx: 4, class: "area" }),
    shape("circle", { cx: x, cy: 12, r: 7, class: "here" }),
    shape("text", { x: 8, y: 32 }, "lowest risk"),
    shape("text", { x: 392, y: 32, "text-anchor": "end" }, "highest risk"),
  );
}

// Draw PDs over the positions of the slider; null = the value is not accepted.
export function drawCurve(svg, { pds, labels, here, scored }) {
  const known = pds.filter((pd) => pd !== null);
  const top = Math.min(1, Math.max(...known, scored) * 1.15 || 0.01);
  const x = (index) => 44 + (pds.length > 1 ? (346 * index) / (pds.length - 1) : 173);
  const y = (pd) => 170 - (155 * pd) / top;
  const path = pds.map((pd, index) => (pd === null ? "" : `${index && pds[index - 1] !== null ? "L" : "M"}${x(index).toFixed(1)} ${y(pd).toFixed(1)}`)).join("");
  const parts = [
    shape("path", { d: "M44 10V170H392", class: "axis" }),
    shape("line", { x1: 44, x2: 392, y1: y(scored), y2: y(scored), class: "base" }),
    shape("path", { d: path, class: "line" }),
    shape("text", { x: 40, y: 174, "text-anchor": "end" }, "0"),
    shape("text", { x: 40, y: 20, "text-anchor": "end" }, percent(top, 0)),
    shape("text", { x: 44, y: 190 }, labels[0]),
    shape("text", { x: 392, y: 190, "text-anchor": "end" }, labels[labels.length - 1]),
  ];
  if (pds[here] !== null && pds[here] !== undefined) parts.push(shape("circle", { cx: x(here), cy: y(pds[here]), r: 6, class: "here" }));
  svg.replaceChildren(...parts);
}
