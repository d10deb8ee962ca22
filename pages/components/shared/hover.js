// @ts-check
// Linked charts: hovering over one marks the same x position in the others.

/** @type {Map<string, Set<any>>} */
const groups = new Map();

/** Link a drawn chart with all others of a group, "" for none. Returns a function that removes the link.
 * @param {any} plot @param {string} group */
export function linkHover(plot, group) {
  if (!group) return () => {};
  const charts = groups.get(group) ?? new Set();
  groups.set(group, charts.add(plot));
  const others = () => [...charts].filter((other) => other !== plot && other.isConnected && other.data?.length);
  // Plotly reports only the pointer's hover, so a mark set here does not trigger further marks.
  plot.on("plotly_hover", ({ xaxes, xvals }) => {
    if (xaxes) others().forEach((other) => mark(other, xaxes[0].d2c(xvals[0])));
  });
  plot.on("plotly_unhover", () => others().forEach((other) => window.Plotly.Fx.unhover(other)));
  return () => charts.delete(plot);
}

// `place` is in the axis' own numbers, so that it is also valid for dates and on logarithmic axes. A position outside a
// chart's range is not marked.
function mark(chart, place) {
  const axis = chart._fullLayout.xaxis;
  const [low, high] = axis.range.map((end) => axis.r2c(end)).sort((a, b) => a - b);
  if (place < low || place > high) window.Plotly.Fx.unhover(chart);
  else window.Plotly.Fx.hover(chart, { xval: place, yval: 0 }, ["xy"]);
}
