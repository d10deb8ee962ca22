// @ts-check
// A finished figure: Plotly updates it in place, whereas Streamlit's own chart would be replaced and lose its zoom.
// Some figures have a variant for narrow containers, which is shown when the container becomes narrow.

import { made } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { linkHover } from "../shared/hover.js";
import { filling, loadPlotly, tools, touched } from "../shared/plotly.js";

const MARGINS_PX = 32; // of the full screen, as in the style sheet
const FULL_ICON = { width: 24, height: 24, path: "M3 9V3h6v2H5v4zm12-6h6v6h-2V5h-4zM3 15h2v4h4v2H3zm16 0h2v6h-6v-2h4z" };

export default mount((place) => new Chart(place));

class Chart {
  constructor(root) {
    this.box = made("div", "cl-plot-box");
    this.plot = made("div");
    this.plot.setAttribute("role", "figure");
    this.box.append(this.plot);
    root.appendChild(this.box);
    this.watcher = filling(this.plot);
    const replace = () => this.shown && this.chosen().figure !== this.shown.figure && this.refresh(this.data);
    this.turning = new ResizeObserver(replace);
    this.turning.observe(this.box);
    this.tools = undefined; // created once
    this.unlink = undefined;
    this.box.addEventListener("fullscreenchange", () => this.size());
  }

  async refresh(data) {
    this.data = data;
    this.plot.setAttribute("aria-label", data.words);
    this.size(); // immediately, so that the page does not jump once Plotly is loaded
    await loadPlotly(data.plotly);
    const seen = [this.chosen().figure, data.revision, this.font(), this.style("--st-background-color")].join(" ");
    if (this.closed || seen === this.seen) return;
    this.seen = seen;
    this.draw();
  }

  // The figure for the current width: the usual one, or the variant for narrow containers.
  chosen() {
    const { narrow } = this.data;
    return narrow && this.box.clientWidth && this.box.clientWidth < narrow.below ? narrow : this.data;
  }

  size() {
    const full = document.fullscreenElement === this.box;
    this.plot.style.height = `${full ? window.innerHeight - MARGINS_PX : this.chosen().height}px`;
  }

  draw() {
    this.shown = this.chosen();
    const { data, layout } = JSON.parse(this.shown.figure);
    const more = [{ name: "full", title: "Full screen", icon: FULL_ICON, click: () => this.turn() }];
    this.tools ??= tools(this.data.filename, { unwanted: ["select2d", "lasso2d"], more });
    const [paper, line, text] = ["background", "border", "text"].map((name) => this.style(`--st-${name}-color`));
    const drawn = window.Plotly.react(this.plot, data, {
      ...layout, uirevision: this.data.revision, font: { ...layout.font, family: this.font() },
      height: undefined, ...(touched() ? { dragmode: false } : {}),
      paper_bgcolor: paper, plot_bgcolor: paper, modebar: { bgcolor: "rgba(0,0,0,0)" },
      hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: text } },
    }, this.tools);
    drawn.then(() => !this.closed && (this.unlink ??= linkHover(this.plot, this.data.linked)));
  }

  turn() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.box.requestFullscreen();
  }

  font() {
    return getComputedStyle(this.box).fontFamily;
  }

  style(name) {
    return getComputedStyle(this.box).getPropertyValue(name).trim();
  }

  dispose() {
    this.closed = true;
    this.unlink?.();
    this.watcher.disconnect();
    this.turning.disconnect();
    if (window.Plotly) window.Plotly.purge(this.plot);
    this.box.remove();
  }
}
