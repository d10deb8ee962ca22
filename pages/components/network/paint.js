// @ts-check
// Values quantised to 256 steps: as colours, as numbers, and their positions in a grid.

/** @param {string} text bytes as base64 */
export function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/**
 * Return maps, one above another, as RGBA.
 * @param {Uint8Array} values all maps' rows @param {Uint8Array} table 256 colours, RGB
 */
export function coloured(values, table) {
  const pixels = new Uint8ClampedArray(4 * values.length);
  for (let i = 0; i < values.length; i++) {
    const at = 3 * values[i];
    pixels[4 * i] = table[at];
    pixels[4 * i + 1] = table[at + 1];
    pixels[4 * i + 2] = table[at + 2];
    pixels[4 * i + 3] = 255;
  }
  return pixels;
}

/** Return the number that a step represents. @param {number} step @param {number} low @param {number} high */
export function numberOf(step, low, high) {
  return low + ((high - low) * step) / 255;
}

/**
 * Return the smallest and largest step of one map.
 * @param {Uint8Array} values @param {number} index @param {number} size of a map
 */
export function extremes(values, index, size) {
  let [least, most] = [255, 0];
  for (let i = index * size; i < (index + 1) * size; i++) {
    if (values[i] < least) least = values[i];
    if (values[i] > most) most = values[i];
  }
  return [least, most];
}

/**
 * Return where an arrow key moves from a map: to another map of the grid, or past its end (-1 before, 1 after).
 * @param {string} key @param {number} index @param {{ columns: number, count: number }} grid
 */
export function neighbour(key, index, { columns, count }) {
  const column = index % columns;
  if (key === "ArrowLeft") return column > 0 ? { index: index - 1 } : { stage: -1 };
  if (key === "ArrowRight") return column < columns - 1 && index + 1 < count ? { index: index + 1 } : { stage: 1 };
  const next = index + (key === "ArrowUp" ? -columns : columns);
  return { index: next >= 0 && next < count ? next : index };
}

/**
 * Return the index of the grid cell at a point, in px from the grid's corner; outside, that of the nearest cell.
 * @param {number} x @param {number} y @param {{ columns: number, step: number, count: number }} grid
 */
export function gridIndex(x, y, { columns, step, count }) {
  const column = Math.min(columns - 1, Math.max(0, Math.floor(x / step)));
  return Math.min(count - 1, Math.max(0, Math.floor(y / step)) * columns + column);
}

/**
 * Return the index of the value farthest from zero.
 * @param {Uint8Array} steps @param {number} low @param {number} high
 */
export function strongest(steps, low, high) {
  let found = 0;
  for (let i = 1; i < steps.length; i++) {
    if (Math.abs(numberOf(steps[i], low, high)) > Math.abs(numberOf(steps[found], low, high))) found = i;
  }
  return found;
}
