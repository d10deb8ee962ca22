// @ts-check
// How the live view looks: colours, axes, layout, and the saved settings.

import { touched } from "../shared/plotly.js";
import { SHARES, emptyAxes, fitted, isLow, rangeMode } from "./axes.js";

export const SKIPPED = 0.05; // share of the steps that "skip the start" leaves out
export const POLL_MS = { first: 500, longest: 5000, ended: 20000, failed: 10000, late: 10000, growth: 1.5 };

/**
 * Return the time in ms until the next question to the server. A paused run may be resumed in another window.
 * @param {{ live: boolean, state: string }} news @param {boolean} changed @param {number} before the last time
 */
export function nextPoll(news, changed, before) {
  if (news.live) return changed ? POLL_MS.first : Math.min(before * POLL_MS.growth, POLL_MS.longest);
  return news.state === "paused" ? POLL_MS.longest : POLL_MS.ended;
}

// By split: index of its colour in the theme, marker and dash. "" is for metrics of the run itself.
export const LOOK = {
  train: [0, "circle", "solid"], val: [1, "diamond", "dot"], test: [2, "square", "dash"], "": [3, "circle", "solid"],
};

export const EDGE = { top: 0.985, nonFinite: 0.94, bottom: 0.015 }; // height of marks, in fractions of the plot's

// Settings are saved in the browser; `spans` are the lab's choices of smoothing, and `span` is the default.
export function readSettings({ spans, span }) {
  const usual = { smoothing: spans.indexOf(span), x: "step", logx: false, logy: false, skip: false, full: false };
  try {
    const saved = JSON.parse(localStorage.getItem("convlab.live")) ?? {};
    return {
      smoothing: saved.smoothing in spans ? saved.smoothing : usual.smoothing,
      x: ["step", "epoch", "time"].includes(saved.x) ? saved.x : usual.x,
      logx: saved.logx === true, logy: saved.logy === true, skip: saved.skip === true, full: saved.full === true,
    };
  } catch {
    return usual;
  }
}

// Streamlit passes its theme to components as CSS variables.
export function readTheme(root) {
  const css = getComputedStyle(root);
  const read = (name, otherwise) => css.getPropertyValue(name).trim() || otherwise;
  return {
    text: read("--st-text-color", "#222"), grid: read("--st-border-color", "#ddd"),
    paper: read("--st-background-color", "#fff"), font: css.fontFamily,
    series: read("--st-chart-categorical-colors", "#0072b2,#c75000,#00805d,#a8497f").split(","),
  };
}

export function layoutOf(chart, live, traces) {
  const { root, settings, range, zoom } = live;
  const empty = traces.every(({ x }) => x.length === 0) ? emptyAxes(chart, live) : {};
  const { text, grid, paper, font } = readTheme(root);
  const axis = { color: text, gridcolor: grid, linecolor: grid, zeroline: false, automargin: true,
    spikecolor: grid, spikethickness: 1, spikedash: "solid" };
  const title = { step: "step", epoch: "epoch", time: "training time (s)" }[settings.x];
  const low = isLow(chart);
  return {
    uirevision: zoom, margin: { l: 48, r: 10, t: 8, b: 36 }, font: { family: font, size: 12, color: text },
    paper_bgcolor: paper, plot_bgcolor: paper, hovermode: "x unified", dragmode: touched() ? false : "zoom",
    hoverlabel: { bgcolor: paper, bordercolor: grid, font: { color: text } },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { color: text } },
    xaxis: {
      ...axis, ...(range ? { range: [...range], autorange: false } : {}), rangemode: low ? "tozero" : "normal",
      title: { text: title, standoff: 6 }, type: settings.logx ? "log" : "linear", ...empty.x,
    },
    yaxis: {
      ...axis, tickformat: chart.share ? "~%" : "~g", hoverformat: chart.hover, rangemode: rangeMode(chart, settings),
      type: chart.log && settings.logy ? "log" : "linear", ...empty.y, ...fitted(chart, live),
      ...(chart.share ? { autorangeoptions: { minallowed: SHARES[0], maxallowed: SHARES[1] } } : {}),
    },
    yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
  };
}
