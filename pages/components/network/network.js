// @ts-check
// The whole network in one picture, from the image to the answer: each stage as a grid of its maps, or (without values)
// as a slab. A map is a button; the arrow keys move between maps. New values are drawn in place.

import { made } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import {
  around, band, CLEAR, fitted, gridSize, isMaps, layout, ranks, sideRule, slabSize, titleOf, wrapped,
} from "./layout.js";
import { bytes, coloured, extremes, gridIndex, neighbour, numberOf, strongest } from "./paint.js";

const SIDES = { largest: 92, smallest: 28 }; // px of a map
const SLAB = { largest: 130, smallest: 22, thickest: 64 }; // px
const HEIGHT = 400; // largest height of a stage in px, if nothing branches
const ANSWER = { w: 134, row: 22, button: 28 };
const REST_MS = 180; // time that the mouse rests on a map before it is enlarged
const GAP = 36; // px between stages
const PREVIEW = 168; // px of an enlarged map
const MARKS = { pixel: "#f2a33a", window: "#f2a33a", field: "#f2a33a" };

export default mount((place) => new NetworkPicture(place));

class NetworkPicture {
  constructor(place) {
    const root = (this.root = made("div", "view"));
    place.append(root);
    this.scroll = made("div", "scroll");
    this.preview = made("div", "preview");
    this.preview.append(made("canvas"), made("span"));
    this.preview.hidden = true;
    root.append(this.scroll, this.preview);
    this.watcher = new ResizeObserver(() => this.data && this.show());
    this.watcher.observe(root);
    this.scroll.addEventListener("click", (event) => this.pick(event));
    this.scroll.addEventListener("keydown", (event) => this.walk(event));
    this.scroll.addEventListener("pointerover", (event) => this.rest(event));
    this.scroll.addEventListener("focusin", ({ target }) => target.matches(":focus-visible") && this.enlarge(target));
    for (const kind of ["pointerleave", "focusout"]) this.scroll.addEventListener(kind, () => this.rest(null));
  }

  connect({ setTriggerValue }) {
    this.report = setTriggerValue;
  }

  refresh(data) {
    this.data = data;
    this.tables = Object.fromEntries(Object.entries(data.palettes).map(([name, text]) => [name, bytes(text)]));
    this.show();
  }

  show() {
    const { data } = this;
    const wide = this.root.clientWidth;
    if (!wide) return;
    const stages = data.stages.map(({ values, low, high, ...rest }) => rest);
    const key = JSON.stringify([wide, data.name, stages, data.answer?.classes.length]);
    if (key !== this.key) {
      const held = this.root.getRootNode().activeElement?.dataset.at;
      const left = this.network === data.network ? this.scroll.scrollLeft : 0;
      this.build(wide);
      this.key = key;
      this.network = data.network;
      this.scroll.scrollLeft = left;
      if (held) this.root.querySelector(`[data-at="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
    }
    this.scroll.setAttribute("role", "group");
    this.scroll.setAttribute("aria-label", data.label);
    this.paint();
  }

  // Lay out everything again: for another network, an expanded block, or another width.
  build(wide) {
    const { stages, answer } = this.data;
    const sized = this.sizes(stages, answer);
    const columns = Math.max(...ranks(stages).values());
    const ruler = (this.ruler = rulerOf(this.root));
    const plan = fitted(wide - 4, columns, (growth, more = 0) => {
      const [height, gap] = [HEIGHT * Math.max(1, growth), Math.max(18, GAP * growth) + more];
      return layout(stages, { size: sized(growth), height, gap, ruler });
    });
    this.plan = plan;
    const sheet = made("div", "sheet");
    sheet.style.width = `${plan.width}px`;
    sheet.style.height = `${plan.height}px`;
    sheet.innerHTML = this.flow();
    this.parts = new Map();
    for (const frame of plan.frames) sheet.append(this.closer(frame));
    for (const stage of stages) sheet.append(this.part(stage));
    this.scroll.replaceChildren(sheet);
  }

  // The size of a stage in a lane, for each scale of the picture.
  sizes(stages, answer) {
    const maps = stages.filter(isMaps);
    const sides = maps.map((stage) => stage.shape[1]);
    if (this.data.slabs) {
      const most = (found) => Math.max(1, ...found.map((stage) => stage.shape[0]));
      const of = { channels: most(maps), values: most(stages.filter((stage) => !isMaps(stage))) };
      return (growth) => {
        const largest = SLAB.largest * growth;
        const rule = sideRule(sides, { largest, smallest: SLAB.smallest });
        return (stage) => slabSize(stage, { ...of, rule, largest, thickest: SLAB.thickest * growth });
      };
    }
    const last = stages[stages.length - 1];
    return (growth) => {
      const smallest = SIDES.smallest * Math.max(0.86, Math.min(growth, 1.2));
      const rule = sideRule(sides, { largest: SIDES.largest * growth, smallest });
      const row = this.picksValues(last) ? ANSWER.button : ANSWER.row;
      return (stage, lane) =>
        (stage === last ? { w: ANSWER.w, h: answer.classes.length * row } : gridSize(stage, lane, rule));
    };
  }

  // The SVG behind the stages: frames of expanded blocks, bands between neighbours, lines around stages, slabs.
  flow() {
    const { places, edges, frames, width, height } = this.plan;
    const byId = new Map(this.data.stages.map((stage) => [stage.id, stage]));
    const shapes = frames.map(({ x, y, w, h }) =>
      `<rect class="frame" x="${x}" y="${y}" width="${w}" height="${h}" rx="10"/>`);
    for (const { from, to, way } of edges) {
      const family = byId.get(to).family;
      shapes.push(way.length
        ? `<path class="around" d="${around(places[from], places[to], way)}"/>`
        : `<path class="band ${family}" d="${band(places[from], places[to])}"/>`);
    }
    for (const stage of this.data.stages) {
      const place = places[stage.id];
      if (this.data.slabs) shapes.push(slab(stage, place));
      else if (stage.count > stage.shown) shapes.push(deck(stage, place));
    }
    const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
    return `<svg aria-hidden="true" ${size}>${shapes.join("")}</svg>`;
  }

  closer({ block, x, y, w }) {
    const button = made("button", "closer");
    button.type = "button";
    button.dataset.close = block;
    button.dataset.at = `block ${block}`;
    button.style.cssText = `left:${x + 8}px;top:${y}px;max-width:${w - 16}px`;
    button.textContent = `− ${block.split(".").pop()}`;
    button.setAttribute("aria-label", `− ${block.split(".").pop()}, close this block`);
    return button;
  }

  part(stage) {
    const place = this.plan.places[stage.id];
    const part = made("div", `stage ${stage.family}`);
    part.setAttribute("role", "group");
    const some = stage.some ? `, ${stage.some} shown` : "";
    part.setAttribute("aria-label", `${stage.title}, ${stage.detail}, ${stage.size}${some}`);
    const { words: more, top } = this.plan;
    const wide = place.width + more;
    part.style.cssText = `left:${place.left - more / 2}px;top:${place.y - top}px;width:${wide}px`;
    const head = made(stage.closed ? "button" : "div", "head");
    head.style.height = `${top}px`;
    if (stage.closed) {
      head.type = "button";
      head.dataset.open = stage.block;
      head.dataset.at = `block ${stage.block}`;
    }
    head.title = `${stage.title}: ${stage.detail}`;
    const lines = (kind, text) => wrapped(text, wide - CLEAR, this.ruler[kind]).join("\n");
    head.append(made("b", "", lines("title", titleOf(stage))), " ", made("span", "", lines("detail", stage.detail)));
    const drawn = made("div", "drawn");
    drawn.style.cssText = `width:${place.w}px;height:${place.h}px`;
    const facts = made("div", "facts");
    facts.append(made("span", "", stage.size), " ", made("span", "", stage.some));
    part.append(head, drawn, facts);
    this.parts.set(stage.id, { part, drawn, place, stage });
    if (this.data.slabs) drawn.append(...(this.data.fixed ? [] : [this.slabButton(stage)]));
    else if (this.data.answer && stage === this.data.stages.at(-1)) this.answerRows(drawn, stage);
    else this.grid(drawn, stage, place);
    return part;
  }

  // Whether single values of a stage can be chosen, as weighted sums.
  picksValues(stage) {
    return this.data.units && stage.family === "linear";
  }

  slabButton(stage) {
    const button = made("button", "map whole");
    button.type = "button";
    button.dataset.at = `${stage.id} 0`;
    button.setAttribute("aria-label", `${stage.title}: ${stage.detail}, ${stage.size}`);
    return button;
  }

  grid(drawn, stage, { w, h, columns, side, step }) {
    const canvas = made("canvas");
    const scale = Math.min(2, window.devicePixelRatio || 1);
    [canvas.width, canvas.height] = [Math.round(w * scale), Math.round(h * scale)];
    canvas.style.cssText = `width:${w}px;height:${h}px`;
    drawn.append(canvas);
    if (!isMaps(stage) && this.picksValues(stage)) {
      const button = made("button", "map units");
      button.type = "button";
      button.tabIndex = 0;
      button.dataset.at = `${stage.id} 0`;
      button.setAttribute("aria-label", `Values of ${stage.title}: choose one`);
      drawn.append(button);
      return;
    }
    if (!isMaps(stage)) {
      drawn.setAttribute("role", "img");
      drawn.setAttribute("aria-label", `Values of ${stage.title}`);
      return;
    }
    const chosen = this.data.chosen?.stage === stage.id ? stage.channels.indexOf(this.data.chosen.channel) : -1;
    for (let index = 0; index < stage.shown; index++) {
      const button = made("button", "map");
      button.type = "button";
      button.dataset.at = `${stage.id} ${index}`;
      button.tabIndex = index === Math.max(0, chosen) ? 0 : -1;
      const [x, y] = [(index % columns) * step, Math.floor(index / columns) * step];
      button.style.cssText = `left:${x}px;top:${y}px;width:${side}px;height:${side}px`;
      const map = stage.family === "input" ? "the image" : `channel ${stage.channels[index]}`;
      button.setAttribute("aria-label", `${stage.title}, ${map}`);
      drawn.append(button);
    }
  }

  answerRows(drawn, stage) {
    drawn.classList.add("answer");
    const picked = this.picksValues(stage);
    for (const index of this.data.answer.classes.keys()) {
      const row = made(picked ? "button" : "div", "row");
      if (picked) {
        row.type = "button";
        row.dataset.at = `${stage.id} ${index}`;
        row.tabIndex = index ? -1 : 0;
      }
      row.append(made("b"), made("i"), made("span", "num"));
      drawn.append(row);
    }
  }

  paint() {
    const { data } = this;
    for (const slab of this.scroll.querySelectorAll(".slab")) {
      slab.classList.toggle("chosen", slab.dataset.slab === data.chosen?.stage);
    }
    for (const { part, drawn, place, stage: { id } } of this.parts.values()) {
      const stage = data.stages.find((each) => each.id === id);
      this.parts.get(id).stage = stage;
      part.classList.toggle("chosen", data.chosen?.stage === id);
      if (drawn.classList.contains("answer")) this.paintAnswer(drawn, id);
      else if (!data.slabs) this.paintMaps(drawn, place, stage);
    }
  }

  paintMaps(drawn, { columns, side, step }, stage) {
    const [h, w] = stage.side;
    const table = this.tables[stage.palette];
    const values = bytes(stage.values);
    stage.steps = values;
    const source = sheetOf(values, table, w, h * stage.shown);
    const canvas = drawn.querySelector("canvas");
    const brush = canvas.getContext("2d");
    const scale = canvas.width / (drawn.clientWidth || canvas.width);
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.clearRect(0, 0, canvas.width, canvas.height);
    brush.imageSmoothingEnabled = w > side * scale;
    for (let index = 0; index < stage.shown; index++) {
      const [x, y] = [(index % columns) * step, Math.floor(index / columns) * step];
      brush.drawImage(source, 0, index * h, w, h, x, y, side, side);
      for (const mark of this.data.marks ?? []) {
        if (mark.stage !== stage.id || (mark.channel != null && mark.channel !== stage.channels[index])) continue;
        const [left, top, w, h] = [mark.left, mark.top, mark.width, mark.height].map((share) => share * side);
        frame(brush, x + left, y + top, w, h, MARKS[mark.kind]);
      }
    }
    const { chosen } = this.data;
    drawn.querySelectorAll(".map").forEach((button, index) => {
      const own = button.matches(".units") || chosen?.channel === stage.channels[index];
      button.setAttribute("aria-pressed", String(chosen?.stage === stage.id && own));
    });
  }

  paintAnswer(drawn, id) {
    const { classes, shares, texts, best, truth, rows } = this.data.answer;
    const { chosen } = this.data;
    const longest = Math.max(...classes.map((name) => name.length));
    drawn.style.setProperty("--name", `${Math.min(4.6, 0.5 * longest + 1.1)}rem`);
    drawn.setAttribute("role", "group");
    drawn.setAttribute("aria-label", "Probabilities of the classes");
    [...drawn.children].forEach((row, index) => {
      const [name, bar, share] = row.children;
      name.textContent = classes[index] + (index === truth ? " ✓" : "");
      bar.style.setProperty("--share", `${100 * shares[index]}%`);
      share.textContent = texts[index];
      const pressed = chosen?.stage === id && chosen.channel === rows[index];
      if (row.matches("button")) row.setAttribute("aria-pressed", String(pressed));
      row.classList.toggle("best", index === best);
      row.classList.toggle("wrong", index === best && truth != null && truth !== best);
    });
  }

  pick(event) {
    const target = /** @type {HTMLElement} */ (event.target).closest("button");
    if (!target) return;
    this.preview.hidden = true;
    this.seen = target; // no preview until the mouse has left it
    if (target.dataset.open) this.report("open", target.dataset.open);
    else if (target.dataset.close) this.report("close", target.dataset.close);
    else {
      const [id, index] = placeOf(target);
      const stage = this.data.stages.find((each) => each.id === id);
      const row = target.matches(".row") ? this.data.answer.rows[index] : null;
      const at = target.matches(".units") ? this.valueAt(event, target, stage) : index;
      this.report("pick", [id, row ?? stage.channels[at] ?? 0]);
    }
  }

  // The index of the value of a vector under the mouse; with the keyboard, that of the strongest value.
  valueAt(event, target, stage) {
    if (!event.detail) return strongest(stage.steps, stage.low, stage.high);
    const { columns, step } = this.parts.get(stage.id).place;
    const box = target.getBoundingClientRect();
    return gridIndex(event.clientX - box.left, event.clientY - box.top, { columns, step, count: stage.shown });
  }

  walk(event) {
    if (!event.key.startsWith("Arrow") || !event.target.dataset.at?.match(/ \d+$/) || this.data.slabs) return;
    event.preventDefault();
    const [id, index] = placeOf(event.target);
    const { place, stage } = this.parts.get(id);
    const shape = event.target.matches(".units") ? { columns: 1, count: 1 }
      : event.target.matches(".row") ? { columns: 1, count: this.data.answer.rows.length }
      : { columns: place.columns, count: stage.shown };
    const to = neighbour(event.key, index, shape);
    if (to.stage) this.beyond(event.target, to.stage);
    else this.focus(this.root.querySelector(`[data-at="${CSS.escape(`${id} ${to.index}`)}"]`));
  }

  // Move to the previous or next stage.
  beyond(from, direction) {
    const stops = [...this.scroll.querySelectorAll('.map[tabindex="0"], .row[tabindex="0"]')];
    const own = stops.findIndex((stop) => placeOf(stop)[0] === placeOf(from)[0]);
    this.focus(stops[own + direction]);
  }

  focus(button) {
    if (!button) return;
    const [id] = placeOf(button);
    for (const other of this.parts.get(id).drawn.querySelectorAll(".map, .row")) {
      other.tabIndex = other === button ? 0 : -1;
    }
    button.focus();
  }

  // Enlarge a map once the mouse rests on it; not for touch, which cannot hover.
  rest(event) {
    clearTimeout(this.resting);
    this.preview.hidden = true;
    const target = event?.pointerType === "mouse" ? event.target.closest?.(".map:not(.whole, .units)") : null;
    if (target !== this.seen) this.seen = null;
    if (target && !this.seen) this.resting = setTimeout(() => this.enlarge(target), REST_MS);
  }

  // Show an enlarged preview of the map under the mouse or with the focus.
  enlarge(target) {
    if (!target.matches(".map:not(.whole, .units)") || !target.isConnected) return;
    this.preview.hidden = false;
    const [id, index] = placeOf(target);
    const { stage } = this.parts.get(id);
    const [h, w] = stage.side;
    const [canvas, text] = this.preview.children;
    [canvas.width, canvas.height] = [w, h];
    const size = w * h;
    const pixels = coloured(stage.steps.subarray(index * size, (index + 1) * size), this.tables[stage.palette]);
    canvas.getContext("2d").putImageData(new ImageData(pixels, w, h), 0, 0);
    const [least, most] = extremes(stage.steps, index, size)
      .map((step) => numberOf(step, stage.low, stage.high).toPrecision(2));
    const channel = stage.family === "input" ? "" : ` #${stage.channels[index]}`;
    text.textContent = `${stage.title}${channel} · ${Number(least)} to ${Number(most)}`;
    const [box, around] = [target.getBoundingClientRect(), this.root.getBoundingClientRect()];
    const right = box.right - around.left + 12;
    const left = right + PREVIEW < around.width ? right : box.left - around.left - PREVIEW - 24;
    const centred = Math.max(0, box.top - around.top + box.height / 2 - PREVIEW / 2);
    const top = Math.min(centred, Math.max(0, around.height - PREVIEW - 40));
    this.preview.style.cssText = `left:${Math.max(0, left)}px;top:${top}px`;
  }

  dispose() {
    clearTimeout(this.resting);
    this.watcher.disconnect();
  }
}

// The widths of texts above a stage, in the fonts of network.css.
function rulerOf(root) {
  const brush = document.createElement("canvas").getContext("2d");
  const { fontFamily } = getComputedStyle(root);
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const ruled = (font) => (text) => {
    brush.font = font;
    return brush.measureText(text).width;
  };
  return { title: ruled(`650 ${0.8 * rem}px ${fontFamily}`), detail: ruled(`400 ${0.68 * rem}px ${fontFamily}`) };
}

/** Return the stage of a button, and the index of its map. @returns {[string, number]} */
function placeOf(button) {
  const [id, index] = button.dataset.at.split(" ");
  return [id, Number(index)];
}

function sheetOf(values, table, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(new ImageData(coloured(values, table), width, height), 0, 0);
  return canvas;
}

// Draw a frame that is visible on any colour.
function frame(brush, x, y, w, h, colour) {
  for (const [width, style] of [[3.5, "#10151c"], [1.8, colour]]) {
    brush.lineWidth = width;
    brush.strokeStyle = style;
    brush.strokeRect(x, y, Math.max(2, w), Math.max(2, h));
  }
}

// Edges of further sheets behind the grid, for channels that are not shown.
function deck({ family }, { x, y, w, h }) {
  const edge = (d) => `<rect class="deck ${family}" x="${x + w - 9}" y="${y + d - 2}" width="${d + 9}" `
    + `height="${h + 4 - 2 * d}" rx="3"/>`;
  return [10, 5].map(edge).join("")
    + `<rect class="paper" x="${x - 3}" y="${y - 3}" width="${w + 6}" height="${h + 6}" rx="4"/>`;
}

// A box: its thickness by the layer's channels, its front and its depth by the size of the maps.
function slab({ family, id }, { x, y, h, thick, deep }) {
  const [top, right, bottom] = [y + deep, x + thick, y + h];
  return `<g class="slab ${family}" data-slab="${id}">`
    + `<path class="front" d="M${x} ${top}H${right}V${bottom}H${x}Z"/>`
    + `<path class="lid" d="M${x} ${top}L${x + deep} ${y}H${right + deep}L${right} ${top}Z"/>`
    + `<path class="face" d="M${right} ${top}L${right + deep} ${y}V${bottom - deep}L${right} ${bottom}Z"/></g>`;
}
