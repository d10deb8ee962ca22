// @ts-check
// A map whose values are chosen with the mouse or the arrow keys, next to its input map. The window follows the mouse
// immediately; a click, or dragging, reports the position, one report at a time.

import { made } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { Reports } from "../shared/reports.js";
import { bytes } from "../network/paint.js";
import { frameOf, placeAt, step } from "./grid.js";

export default mount((place) => new Pixels(place));

class Pixels {
  constructor(root) {
    this.root = root;
    this.pair = made("div", "pair");
    this.given = figure("given");
    this.arrow = made("span", "arrow");
    this.arrow.textContent = "→";
    this.made = figure("made");
    this.value = made("div", "value");
    this.made.root.append(this.value);
    this.pair.append(this.given.root, this.arrow, this.made.root);
    root.append(this.pair);
    this.reports = new Reports((place) => this.report(place));
    const map = this.made.map;
    map.tabIndex = 0;
    map.setAttribute("role", "application");
    map.setAttribute("aria-roledescription", "map of values");
    map.addEventListener("pointerdown", (event) => {
      map.setPointerCapture(event.pointerId);
      this.held = true;
      this.choose(this.at(event));
    });
    map.addEventListener("pointermove", (event) => {
      const at = this.at(event);
      this.hover(at);
      if (this.held) this.choose(at);
    });
    for (const end of ["pointerup", "pointercancel"]) map.addEventListener(end, () => (this.held = false));
    map.addEventListener("pointerleave", () => this.hover(null));
    map.addEventListener("keydown", (event) => {
      if (!event.key.startsWith("Arrow")) return;
      event.preventDefault();
      this.choose(step(event.key, this.place, this.data.made.side));
    });
  }

  connect({ setTriggerValue }) {
    this.report = (place) => setTriggerValue("pick", place);
  }

  refresh(data) {
    const other = !this.data || this.data.made.side.join() !== data.made.side.join();
    this.data = data;
    this.given.root.hidden = this.arrow.hidden = !data.given;
    this.given.root.style.display = this.arrow.style.display = data.given ? "" : "none";
    if (data.given) draw(this.given, data.given);
    draw(this.made, data.made);
    if (other) this.reports.forget();
    if (!this.reports.answered()) this.show(data.place);
  }

  at(event) {
    const box = this.made.map.getBoundingClientRect();
    return placeAt(event.clientX - box.left, event.clientY - box.top, box, this.data.made.side);
  }

  choose(place) {
    if (!place || (this.place && place.join() === this.place.join() && !this.reports.waiting)) return;
    this.show(place);
    this.reports.offer(place);
  }

  show(place) {
    this.place = place;
    this.put("chosen", place);
    this.say(place);
  }

  hover(place) {
    this.put("hover", place);
    this.say(place ?? this.place);
  }

  say([row, column]) {
    const text = `Row ${row}, column ${column}: ${this.data.texts[row][column]}`;
    this.value.textContent = text;
    const hint = "Use the arrow keys to choose another value.";
    this.made.map.setAttribute("aria-label", `${this.data.made.title}. ${text}. ${hint}`);
  }

  put(kind, place) {
    const one = place && frameOf([place[0], place[0]], [place[1], place[1]], this.data.made.side);
    const windows = place && place.map((each) => this.data.windows[each]);
    lay(this.made[kind], one);
    const framed = place && this.data.given && windows.every(Boolean);
    lay(this.given[kind], framed ? frameOf(windows[0], windows[1], this.data.given.side) : null);
  }

  dispose() {}
}

function figure(name) {
  const root = made("figure", name);
  const [caption, map, canvas] = [made("figcaption"), made("span", "map"), made("canvas")];
  canvas.setAttribute("aria-hidden", "true"); // described by the title above it and the value below the map
  const [chosen, hover] = [made("span", "frame"), made("span", "frame hover")];
  chosen.hidden = hover.hidden = true;
  map.append(canvas, chosen, hover);
  root.append(caption, map);
  return { root, caption, map, canvas, chosen, hover };
}

function draw(figure, { rgb, side, title }) {
  figure.caption.textContent = title;
  const { canvas } = figure;
  const [height, width] = side;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const colours = bytes(rgb);
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) pixels[4 * i + c] = colours[3 * i + c];
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
}

function lay(element, frame) {
  element.hidden = !frame;
  if (frame) for (const [name, share] of Object.entries(frame)) element.style[name] = `${100 * share}%`;
}
