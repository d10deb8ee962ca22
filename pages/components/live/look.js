// What the live view draws, how it looks, and how its numbers are written; live.js follows in the same module.

const SKIPPED = 0.05; // share of the steps that "skip the start" leaves out
const POLL_MS = { first: 500, longest: 5000, ended: 20000, failed: 10000, growth: 1.5 };
// By split: the place of its colour in the theme, marker and dash. "" stands for what belongs to the run itself.
const LOOK = { train: [0, "circle", "solid"], val: [1, "diamond", "dot"], test: [2, "square", "dash"], "": [3, "circle", "solid"] };

const EDGE = { top: 0.985, nonFinite: 0.94, bottom: 0.015 }; // of the plot's height: where marks stand

// Settings are kept in the browser; `spans` are the lab's choices of smoothing, and `span` the usual one.
function readSettings({ spans, span }) {
  const usual = { smoothing: spans.indexOf(span), x: "step", logx: false, logy: false, skip: false, full: false };
  try {
    const kept = JSON.parse(localStorage.getItem("convlab.live")) ?? {};
    return {
      smoothing: kept.smoothing in spans ? kept.smoothing : usual.smoothing,
      x: ["step", "epoch", "time"].includes(kept.x) ? kept.x : usual.x, logx: kept.logx === true, logy: kept.logy === true,
      skip: kept.skip === true, full: kept.full === true,
    };
  } catch {
    return usual;
  }
}

// Streamlit hands its theme to components as CSS variables.
function readTheme(root) {
  const css = getComputedStyle(root);
  const read = (name, otherwise) => css.getPropertyValue(name).trim() || otherwise;
  return {
    text: read("--st-text-color", "#222"), grid: read("--st-border-color", "#ddd"),
    paper: read("--st-background-color", "#fff"), font: css.fontFamily,
    series: read("--st-chart-categorical-colors", "#0072b2,#c75000,#00805d,#a8497f").split(","),
  };
}

// Before the first point Plotly would show axes from -1 to 4 (-100 % to 400 %), and around a single one ±100 %.
const SHARES = [-0.02, 1.02];

function emptyAxes(chart, { settings, reach }) {
  const end = settings.logx ? 0 : reach[settings.x];
  return {
    x: end ? { range: [0, end], autorange: false } : { showticklabels: false },
    y: chart.share ? { range: SHARES, autorange: false } : { showticklabels: false },
  };
}

// A single line of points now and then needs less height.
function isLow({ dense, points, share }) {
  return !dense && points.length === 1 && !share;
}

function layoutOf(chart, live, traces) {
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
      ...axis, tickformat: chart.share ? "~%" : "~g", hoverformat: chart.hover, rangemode: low ? "tozero" : "normal",
      type: chart.log && settings.logy ? "log" : "linear", ...empty.y, ...fitted(chart, live),
      ...(chart.share ? { autorangeoptions: { minallowed: SHARES[0], maxallowed: SHARES[1] } } : {}),
    },
    yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
  };
}

// The axis that shows what is sound; without anything far beyond, or when all is asked for, Plotly chooses it.
function fitted({ id, log }, { settings, news }) {
  const chart = settings.full ? null : news?.charts[id];
  const ends = log && settings.logy ? chart?.log_range : chart?.range;
  return ends ? { range: [...ends], autorange: false } : {};
}

function isDark(colour) {
  const [r, g, b] = (colour.match(/[\da-f]{2}/gi) ?? ["ff", "ff", "ff"]).map((part) => parseInt(part, 16));
  return 0.3 * r + 0.6 * g + 0.1 * b < 128;
}

function number(value) {
  return value == null ? "–" : value.toLocaleString("en-GB");
}
