// @ts-check
"use strict";
// Draws every figure of the report from its embedded JSON, with downloads as PNG (Plotly's own button) and SVG.
/** @type {NodeListOf<HTMLScriptElement>} */
const figures = document.querySelectorAll("script[type='application/json'][data-figure]");
for (const data of figures) {
  const place = document.getElementById(data.dataset.figure);
  const figure = JSON.parse(data.textContent);
  const svg = {
    name: "svg",
    title: "Download as SVG",
    icon: Plotly.Icons.disk,
    click: (graph) => Plotly.downloadImage(graph, { format: "svg", filename: data.dataset.figure }),
  };
  const options = { responsive: true, displaylogo: false, modeBarButtonsToAdd: [svg] };
  Plotly.newPlot(place, figure.data, figure.layout, options);
}
