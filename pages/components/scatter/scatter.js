// @ts-check
// Images as points: hovering shows the image, a lasso or a box selects images. Plotly keeps its zoom over epochs.

import { made } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { filling, loadPlotly, tools } from "../shared/plotly.js";

const COLOURS = [
  "#2f86cf", "#d98a1f", "#1f9e77", "#c45a9a", "#8a7a00", "#6b6bd6", "#d1495b", "#2aa5a0", "#9a6b3f", "#7d8694",
];
const SHAPES = [
  "circle", "square", "diamond", "triangle-up", "star", "hexagon", "pentagon", "triangle-down", "bowtie", "cross",
];
const SHOWN_PX = 84;

export default mount((place) => new View(place));

class View {
  constructor(root) {
    this.box = made("div", "cl-scatter");
    this.plot = /** @type {PlotElement} */ (made("div", "cl-scatter-plot"));
    this.card = made("div", "cl-scatter-card");
    this.picture = made("i");
    this.words = made("span");
    this.card.append(this.picture, this.words);
    this.box.append(this.plot, this.card);
    root.appendChild(this.box);
    this.watcher = filling(this.plot);
    this.tools = undefined; // created once
  }

  connect({ setTriggerValue }) {
    this.report = (indices) => setTriggerValue("caught", indices);
  }

  async refresh(data) {
    this.data = data;
    this.plot.setAttribute("role", "figure");
    this.plot.setAttribute("aria-label", data.words);
    const Plotly = await loadPlotly(data.plotly);
    if (this.closed) return;
    const first = !this.plot.data;
    await Plotly.react(this.plot, this.traces(), this.layout(), (this.tools ??= tools(data.filename)));
    if (!first) return;
    this.plot.on("plotly_hover", (event) => this.hover(event));
    this.plot.on("plotly_unhover", () => (this.card.style.display = "none"));
    this.plot.on("plotly_selected", (event) => event && this.report(event.points.map((p) => p.customdata)));
    this.plot.on("plotly_deselect", () => this.report([]));
  }

  traces() {
    const { x, y, labels, wrong, classes } = this.data;
    const large = wrong.filter(Boolean).length > 0.2 * wrong.length ? 8 : 12; // many large points would hide the others
    return classes.map((name, k) => {
      const members = labels.map((_, i) => i).filter((i) => labels[i] === k);
      return {
        type: "scatter", mode: "markers", name, x: members.map((i) => x[i]), y: members.map((i) => y[i]),
        customdata: members, hoverinfo: "none",
        marker: {
          color: COLOURS[k % COLOURS.length], symbol: SHAPES[Math.floor(k / COLOURS.length + k) % SHAPES.length],
          size: members.map((i) => (wrong[i] ? large : 6)), opacity: members.map((i) => (wrong[i] ? 1 : 0.65)),
          line: { color: this.style("--st-text-color"), width: members.map((i) => (wrong[i] ? 2 : 0)) },
        },
      };
    });
  }

  layout() {
    const [text, paper] = [this.style("--st-text-color"), this.style("--st-background-color")];
    const axis = { showticklabels: false, zeroline: false, showgrid: false, range: [-1.08, 1.08] };
    return {
      dragmode: "lasso", uirevision: this.data.method, showlegend: true,
      xaxis: { ...axis }, yaxis: { ...axis }, margin: { l: 8, r: 8, t: 8, b: 8 },
      paper_bgcolor: paper, plot_bgcolor: paper, font: { color: text, family: this.style("--st-font") },
      legend: { orientation: "h", y: -0.02, itemsizing: "constant" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: text },
    };
  }

  style(name) {
    return getComputedStyle(this.box).getPropertyValue(name).trim();
  }

  hover(event) {
    const index = event.points[0].customdata;
    const { columns, sprite, notes } = this.data;
    const [row, column] = [Math.floor(index / columns), index % columns];
    const offset = `${-column * SHOWN_PX}px ${-row * SHOWN_PX}px`;
    this.picture.style.background = `url(${sprite}) ${offset} / ${columns * SHOWN_PX}px auto`;
    this.words.textContent = notes[index];
    const box = this.box.getBoundingClientRect();
    const [left, top] = [event.event.clientX - box.left, event.event.clientY - box.top];
    this.card.style.display = "flex";
    this.card.style.left = `${Math.min(Math.max(0, left + 14), Math.max(0, box.width - 230))}px`;
    this.card.style.top = `${Math.max(0, top > box.height / 2 ? top - 116 : top + 14)}px`;
  }

  dispose() {
    this.closed = true;
    this.watcher.disconnect();
    if (window.Plotly) window.Plotly.purge(this.plot);
    this.box.remove();
  }
}
