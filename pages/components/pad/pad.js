// @ts-check
// A drawing pad that reports its strokes while they are drawn.
// It sends the strokes themselves (width and points on a canvas of 280 units), which the server draws: about one
// kilobyte per stroke at full resolution. During a stroke, the next message waits until the last one was answered, so a
// slow server gets fewer messages instead of a queue; lifting the pen always sends immediately. With the keyboard, a
// ring shows the pen: arrow keys move it, the space bar lowers and lifts it.

import { mount } from "../shared/mount.js";
import { drawnTo, isDue, shareAt } from "./demo.js";
import { historyOf, restore, save } from "./saved.js";
import { SIDE, extend, moved, read } from "./strokes.js";

const TIMEOUT_MS = 400; // after this long without an answer, the pad sends again
const PAUSE_MS = 70; // between two messages of a stroke, so that the server is free for the last one
const KEYS = "keys"; // in place of a pointer's id

export default mount((place, data) => new Pad(place.querySelector(".pad"), data));

class Pad {
  constructor(root, data) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.pen = root.querySelector("input");
    [this.pen.min, this.pen.max] = data.pens.map(String);
    this.pen.value = String(data.pen);
    this.strokes = [];
    this.past = [];
    this.future = [];
    this.stroke = null;
    this.demo = false; // whether the strokes are the sample that the pad draws by itself
    this.spot = null; // position of the keyboard's pen
    this.sequence = data.answered ?? 0;
    this.answered = this.sequence;
    this.sentAt = 0;
    this.version = null;
    this.listen();
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.canvas);
  }

  dispose() {
    this.demo = false;
    clearTimeout(this.timer);
    this.watcher.disconnect();
  }

  connect({ setStateValue }) {
    this.send = (text) => setStateValue("ink", text);
  }

  // Called at every answer and at every change of theme.
  refresh(data) {
    this.answered = Math.max(this.answered, data.answered ?? 0);
    if (data.version !== this.version) this.replace(data);
    this.draw();
    if (this.waiting) this.report();
    this.canvas.toggleAttribute("data-pad", true); // ready: strokes drawn before would have been lost
  }

  // Load a drawing that the server has changed, or the drawing on another page, with the undo history.
  replace(data) {
    const ink = read(data.ink);
    const first = this.version === null;
    const reloaded = first && data.version === 0 && !data.answered && !ink.length;
    this.version = data.version;
    this.stroke = null;
    this.endDemo();
    if (reloaded && this.takeSaved()) return;
    if (reloaded && data.demo && isDue()) return this.playDemo(read(data.demo));
    if (first) Object.assign(this, historyOf(ink, restore()));
    else if (ink.length) this.remember(); // a sample digit replaces the drawing
    else [this.past, this.future] = [[], []];
    this.strokes = ink;
    this.keep();
  }

  // After a reload, the server has a new session without a drawing, but the tab still has it.
  takeSaved() {
    const saved = restore();
    if (!saved) return false;
    ({ strokes: this.strokes, past: this.past, future: this.future } = saved);
    this.pen.value = String(saved.pen);
    this.draw();
    this.report(true);
    return true;
  }

  // Draw the sample at the pace of a hand. It is sent like a drawing, marked as not being the user's. The first point
  // waits for its answer: a server that has just started is busy with imports.
  playDemo(sample) {
    let began = null;
    const next = () => {
      if (!this.demo) return;
      if (this.answered >= this.sequence) began ??= performance.now();
      const share = shareAt(began === null ? 0 : performance.now() - began);
      this.strokes = drawnTo(sample, share);
      this.draw();
      if (share) this.report(share === 1);
      if (share < 1) requestAnimationFrame(next);
    };
    this.demo = true;
    this.strokes = drawnTo(sample, 0);
    this.report(true);
    requestAnimationFrame(next);
  }

  // Make room for the user's drawing.
  endDemo() {
    if (!this.demo) return;
    this.demo = false;
    this.strokes = [];
  }

  keep() {
    if (this.demo) return;
    const { strokes, past, future } = this;
    save({ strokes, past, future, pen: Number(this.pen.value) });
  }

  listen() {
    const paper = this.canvas;
    paper.addEventListener("pointerdown", (event) => this.down(event));
    paper.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      paper.addEventListener(end, (event) => this.up(event));
    paper.addEventListener("contextmenu", (event) => event.preventDefault());
    paper.addEventListener("keydown", (event) => this.key(event));
    paper.addEventListener("keyup", (event) => event.key === "Tab" && paper.classList.add("keys"));
    paper.addEventListener("blur", () => this.leave());
    this.root.querySelectorAll("[data-do]").forEach((button) =>
      button.addEventListener("click", () => this[button.dataset.do]())
    );
    this.pen.addEventListener("input", () => this.showPen());
  }

  down(event) {
    if (event.button !== 0) return;
    this.leave();
    if (this.stroke) return;
    event.preventDefault();
    this.canvas.classList.remove("keys"); // the focus ring is for keyboard users
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.begin(event.pointerId);
    this.add(event);
    this.draw();
    this.report();
  }

  begin(pointer) {
    this.pointer = pointer;
    this.remember();
    this.stroke = [Number(this.pen.value)];
    this.strokes = [...this.strokes, this.stroke];
  }

  move(event) {
    if (!this.stroke || event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    const before = this.stroke.length;
    for (const each of events.length ? events : [event]) this.add(each);
    if (this.stroke.length === before) return;
    this.line(this.stroke, Math.max(1, before - 2));
    this.report();
  }

  up(event) {
    if (!this.stroke || event.pointerId !== this.pointer) return;
    if (event.type === "pointerup") this.add(event);
    this.end();
  }

  end() {
    this.stroke = null;
    this.draw();
    this.report(true);
  }

  add(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) * SIDE) / box.width;
    const y = ((event.clientY - box.top) * SIDE) / box.height;
    extend(this.stroke, x, y);
  }

  key(event) {
    if (event.altKey) return;
    if (!(event.ctrlKey || event.metaKey)) return this.steer(event);
    const name = event.key.toLowerCase();
    const redo = name === "y" || (name === "z" && event.shiftKey);
    if (!redo && name !== "z") return;
    event.preventDefault();
    if (redo) this.redo();
    else this.undo();
  }

  // Arrow keys and the space bar; held keys repeat, but the space bar does not.
  steer(event) {
    const spot = moved(this.spot, event.key, event.shiftKey);
    if (spot === null && event.key !== " ") return;
    event.preventDefault();
    this.canvas.classList.add("keys");
    if (this.stroke && this.pointer !== KEYS) return; // a pointer is drawing
    if (spot !== null) this.spot = spot;
    else if (event.repeat) return;
    else if (this.stroke) return this.end();
    else {
      this.spot ??= [SIDE / 2, SIDE / 2];
      this.begin(KEYS);
    }
    if (this.stroke) {
      const [x, y] = this.spot;
      extend(this.stroke, x, y);
      this.report();
    }
    this.draw();
  }

  // Lift and hide the keyboard's pen.
  leave() {
    if (!this.spot) return;
    this.spot = null;
    if (this.stroke && this.pointer === KEYS) this.end();
    else this.draw();
  }

  remember() {
    this.endDemo();
    this.past.push(this.strokes);
    this.future = [];
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  step(from, to) {
    if (this.stroke || !from.length) return;
    to.push(this.strokes);
    this.strokes = from.pop();
    this.draw();
    this.report(true);
  }

  clear() {
    if (this.stroke || !this.strokes.length) return;
    this.remember();
    this.strokes = [];
    this.draw();
    this.report(true);
  }

  // Send the strokes: immediately if `now`, else once the last message was answered or took too long.
  report(now = false) {
    clearTimeout(this.timer);
    const since = performance.now() - this.sentAt;
    const answered = this.answered >= this.sequence;
    const wait = now ? 0 : answered ? PAUSE_MS - since : TIMEOUT_MS - since;
    if (wait > 0) {
      this.waiting = true;
      this.timer = setTimeout(() => this.report(), wait);
      return;
    }
    this.waiting = false;
    if (!this.stroke) this.keep();
    this.sequence += 1;
    this.sentAt = performance.now();
    this.root.dataset.sent = this.sequence;
    const { sequence: seq, version, strokes } = this;
    this.send(JSON.stringify({ seq, version, pen: Number(this.pen.value), strokes, demo: this.demo }));
  }

  draw() {
    const scale = Math.min(2, window.devicePixelRatio || 1);
    const pixels = Math.round(this.canvas.clientWidth * scale) || 560;
    if (this.canvas.width !== pixels) this.canvas.width = this.canvas.height = pixels;
    const brush = this.canvas.getContext("2d");
    brush.setTransform(1, 0, 0, 1, 0, 0);
    brush.clearRect(0, 0, pixels, pixels);
    this.root.classList.toggle("demo", this.demo);
    this.color = getComputedStyle(this.canvas).color;
    for (const stroke of this.strokes) this.line(stroke, 1);
    if (this.spot) this.ring(brush);
    this.root.classList.toggle("inked", this.strokes.length > 0);
    const can = { undo: this.past.length, redo: this.future.length, clear: this.strokes.length };
    for (const [name, count] of Object.entries(can)) this.root.querySelector(`[data-do="${name}"]`).disabled = !count;
    this.showPen();
  }

  // Draw a stroke from the point at index `start` of its list.
  line(stroke, start) {
    const brush = this.canvas.getContext("2d");
    const scale = this.canvas.width / SIDE;
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.lineCap = brush.lineJoin = "round";
    brush.lineWidth = stroke[0];
    brush.strokeStyle = this.color;
    brush.beginPath();
    brush.moveTo(stroke[start], stroke[start + 1]);
    if (stroke.length === start + 2) brush.lineTo(stroke[start], stroke[start + 1]);
    for (let i = start + 2; i < stroke.length; i += 2) brush.lineTo(stroke[i], stroke[i + 1]);
    brush.stroke();
  }

  // Draw the keyboard's pen as a ring, filled while it is down.
  ring(brush) {
    const scale = this.canvas.width / SIDE;
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.beginPath();
    brush.arc(...this.spot, Math.max(5, Number(this.pen.value) / 2), 0, 2 * Math.PI);
    brush.lineWidth = 2.5;
    brush.strokeStyle = getComputedStyle(this.root).getPropertyValue("--st-primary-color") || this.color;
    brush.fillStyle = brush.strokeStyle;
    if (this.stroke) brush.fill();
    brush.stroke();
  }

  showPen() {
    const dot = this.root.querySelector(".pad-dot");
    const size = Math.max(4, (Number(this.pen.value) * this.canvas.clientWidth) / SIDE / 2);
    dot.style.width = dot.style.height = `${size}px`;
  }
}
