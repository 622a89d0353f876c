// Small helpers for HTML and SVG. Charts are drawn at the width they are shown at, so that text keeps its size.

function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...[children].flat());
  return made;
}

function shape(tag, attributes = {}, children = []) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...[children].flat());
  return made;
}

const text = (x, y, words, more = {}) => shape("text", { x, y, ...more }, words);
const scale = ([from, to], [a, b]) => (value) => a + ((value - from) / (to - from)) * (b - a);
const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

// About `wanted` round numbers in the range: steps of 1, 2 or 5 times a power of ten.
function ticks([from, to], wanted) {
  const rough = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + step * 1e-9; k++) found.push(k * step);
  return found;
}

// The range of some values, with a margin, and never empty.
function extent(values, margin = 0.08) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  return [low - margin * (high - low), high + margin * (high - low)];
}

const path = (points) => points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");

// A value per timestep t, held from t to t + 1.
const stairs = (values, x, y) => path(values.flatMap((v, t) => [[x(t), y(v)], [x(t + 1), y(v)]]));

// A lane of a chart: grid, labels at the left, a title above. Returns its group, its top and its two scales.
function lane({ title, top, height, left, right, x, y, xTicks = 0, yTicks = 3, xTitle = "" }) {
  const [toX, toY] = [scale(x, [left, right]), scale(y, [top + height, top])];
  const group = shape("g", { class: "lane" });
  for (const value of ticks(y, yTicks)) {
    group.append(
      shape("line", { class: "grid", x1: left, x2: right, y1: toY(value), y2: toY(value) }),
      text(left - 8, toY(value), short(value), { class: "tick", "text-anchor": "end", dy: "0.32em" }),
    );
  }
  for (const value of xTicks ? ticks(x, xTicks) : []) {
    group.append(text(toX(value), top + height + 17, short(value), { class: "tick", "text-anchor": "middle" }));
  }
  if (title) group.append(text(left, top - 9, title, { class: "title" }));
  if (xTitle) group.append(text(right, top + height + 34, xTitle, { class: "axis", "text-anchor": "end" }));
  return { group, top, x: toX, y: toY };
}

// Fill a box with a chart, and again whenever its width changes.
function chart(box, height, paint) {
  const picture = shape("svg", { role: "img" });
  box.append(picture);
  const draw = () => {
    const width = Math.floor(box.clientWidth);
    if (width < 40) return;
    const high = typeof height === "function" ? height(width) : height;
    for (const [name, value] of Object.entries({ width, height: high, viewBox: `0 0 ${width} ${high}` })) {
      picture.setAttribute(name, value);
    }
    const { label, marks } = paint(width, high);
    picture.setAttribute("aria-label", label);
    picture.replaceChildren(...marks);
  };
  let last = 0;
  new ResizeObserver(() => {
    if (Math.floor(box.clientWidth) !== last) draw();
    last = Math.floor(box.clientWidth);
  }).observe(box);
  return draw;
}

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
