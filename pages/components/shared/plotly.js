// @ts-check
// What every chart of the pages shares: Plotly.js, loaded once, and the tools above a chart.

let plotly;

export function loadPlotly(source) {
  plotly ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const script = document.createElement("script");
    script.src = source;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      plotly = undefined;
      script.remove();
      reject(new Error("the chart library could not be loaded"));
    };
    document.head.appendChild(script);
  });
  return plotly;
}

// Let a chart fill its place; Plotly itself only handles changes of the window's size, not of a side bar that is closed.
export function filling(plot) {
  const watcher = new ResizeObserver(() => plot.data && plot.clientWidth && window.Plotly.Plots.resize(plot));
  watcher.observe(plot);
  return watcher;
}

// Without a mouse the tools would lie over the legend for good, and a finger that scrolls the page would zoom.
export function touched() {
  return window.matchMedia("(hover: none)").matches;
}

// The tools above a chart, made once a chart: Plotly takes other objects for other settings, starts anew and forgets
// the zoom. filename: of a saved picture. unwanted: names of Plotly's own tools. more: tools of the caller.
export function tools(filename, { unwanted = [], more = [] } = {}) {
  return {
    displaylogo: false, showSendToCloud: false, displayModeBar: touched() ? false : "hover",
    modeBarButtonsToRemove: ["toImage", "autoScale2d", ...unwanted],
    modeBarButtonsToAdd: [...["png", "svg"].map((format) => saving(format, filename)), ...more],
  };
}

function saving(format, filename) {
  return {
    name: `save-${format}`, title: `Save as ${format.toUpperCase()}`, icon: written(format.toUpperCase()),
    click: (plot) => window.Plotly.downloadImage(pictureOf(plot), {
      format, filename, width: plot.clientWidth, height: plot.clientHeight, scale: format === "png" ? 2 : 1,
    }),
  };
}

// A word as a tool's sign. Plotly colours paths only, so the word has a grey that can be read on any page.
function written(word) {
  return {
    svg: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 29 16" style="width:1.8em"><text x="14.5" y="12" `
      + `text-anchor="middle" font-family="sans-serif" font-size="11" font-weight="700" fill="#7d8794">${word}</text></svg>`,
  };
}

// The chart as it is seen, but in a font that everybody has: the page's own is not found from a picture, and another one
// needs more room than was left for it.
function pictureOf(plot) {
  const font = { ...plot.layout.font, family: "Arial, Helvetica, sans-serif" };
  return { data: plot.data, layout: { ...plot.layout, font, autosize: false } };
}
