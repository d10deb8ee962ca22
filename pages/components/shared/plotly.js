// @ts-check
// Shared by all charts: Plotly.js, loaded once, and the tools above a chart.

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

// Resize a chart with its container; Plotly itself only follows the size of the window, not the closing of a side bar.
export function filling(plot) {
  const watcher = new ResizeObserver(() => plot.data && plot.clientWidth && window.Plotly.Plots.resize(plot));
  watcher.observe(plot);
  return watcher;
}

// Without a mouse, the tools would permanently cover the legend, and scrolling the page with a finger would zoom.
export function touched() {
  return window.matchMedia("(hover: none)").matches;
}

// The tools above a chart. Call this once per chart: with new objects, Plotly assumes new settings, starts over and
// loses the zoom. filename: of saved pictures. unwanted: names of Plotly tools to remove. more: tools of the caller.
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

// A word as the icon of a tool. Plotly colours only paths, so the word has a grey that is readable in both themes.
function written(word) {
  return {
    svg: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 29 16" style="width:1.8em"><text x="14.5" y="12" `
      + `text-anchor="middle" font-family="sans-serif" font-size="11" font-weight="700" fill="#7d8794">${word}`
      + "</text></svg>",
  };
}

// The chart as shown, but in a common font: a saved picture cannot load the page's font, and its fallback could need
// more space.
function pictureOf(plot) {
  const font = { ...plot.layout.font, family: "Arial, Helvetica, sans-serif" };
  return { data: plot.data, layout: { ...plot.layout, font, autosize: false } };
}
