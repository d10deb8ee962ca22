// @ts-check
// Charts that are read together: resting on one marks the same place along x in the others.

/** @type {Map<string, Set<any>>} */
const groups = new Map();

/** Link a drawn chart with all others of a group; "" links it with none. Returns what takes it out again.
 * @param {any} plot @param {string} group */
export function linkHover(plot, group) {
  if (!group) return () => {};
  const charts = groups.get(group) ?? new Set();
  groups.set(group, charts.add(plot));
  const others = () => [...charts].filter((other) => other !== plot && other.isConnected && other.data?.length);
  // Only a pointer's hover is reported as one, so what is marked here is not passed on again.
  plot.on("plotly_hover", ({ xaxes, xvals }) => {
    if (xaxes) others().forEach((other) => mark(other, xaxes[0].d2c(xvals[0])));
  });
  plot.on("plotly_unhover", () => others().forEach((other) => window.Plotly.Fx.unhover(other)));
  return () => charts.delete(plot);
}

// `place` is in the axis' own numbers, so that it also holds for dates and on a logarithmic axis. What a chart does not
// show has no mark there.
function mark(chart, place) {
  const axis = chart._fullLayout.xaxis;
  const [low, high] = axis.range.map((end) => axis.r2c(end)).sort((a, b) => a - b);
  if (place < low || place > high) window.Plotly.Fx.unhover(chart);
  else window.Plotly.Fx.hover(chart, { xval: place, yval: 0 }, ["xy"]);
}
