// @ts-check
// The ranges of a chart's axes.

// Before the first point, Plotly would show axes from -1 to 4 (-100 % to 400 %), and around a single point ±100 %.
export const SHARES = [-0.02, 1.02];

export function emptyAxes(chart, { settings, reach }) {
  const end = settings.logx ? 0 : reach[settings.x];
  return {
    x: end ? { range: [0, end], autorange: false } : { showticklabels: false },
    y: chart.share ? { range: SHARES, autorange: false } : { showticklabels: false },
  };
}

// A chart with a single line of sparse points needs less height.
export function isLow({ dense, points, share }) {
  return !dense && points.length === 1 && !share;
}

// The axis of a loss includes 0: zoomed to 2.29 to 2.31, a run that only guesses would look like one that learns. If
// the start is skipped, the user wants detail.
export function rangeMode(chart, { skip }) {
  return isLow(chart) || (chart.log && !skip) ? "tozero" : "normal";
}

// The range without far outliers; if there are none, or for the full range, Plotly chooses the range.
export function fitted({ id, log }, { settings, news }) {
  const chart = settings.full ? null : news?.charts[id];
  const ends = log && settings.logy ? chart?.log_range : chart?.range;
  return ends ? { range: [...ends], autorange: false } : {};
}
