// @ts-check
// Keys in the matrix, as in any grid: one cell is reached with Tab, the others from there.

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * Return the row and column to which a key leads, null if it leads nowhere.
 * @param {[number, number]} cell @param {string} key @param {number} count number of rows and of columns
 * @returns {[number, number] | null}
 */
export function after([row, column], key, count) {
  if (key === "Home" || key === "End") return [row, key === "Home" ? 0 : count - 1];
  if (!Object.hasOwn(ARROWS, key)) return null;
  const step = ARROWS[key];
  const last = count - 1;
  return [Math.min(last, Math.max(0, row + step[0])), Math.min(last, Math.max(0, column + step[1]))];
}
