// @ts-check
// Positions on a map: the value under the mouse, and the rows and columns that it depends on.

/**
 * Return the row and column under a point, null outside the map.
 * @param {number} x @param {number} y px from the corner @param {{ width: number, height: number }} box
 * @param {[number, number]} side rows and columns
 */
export function placeAt(x, y, { width, height }, [rows, columns]) {
  if (x < 0 || y < 0 || x >= width || y >= height) return null;
  return [Math.floor((y * rows) / height), Math.floor((x * columns) / width)];
}

/**
 * Return the position that an arrow key moves to, within the map.
 * @param {string} key @param {number[]} place @param {[number, number]} side
 */
export function step(key, [row, column], [rows, columns]) {
  const [down, across] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key] ?? [0, 0];
  return [Math.min(rows - 1, Math.max(0, row + down)), Math.min(columns - 1, Math.max(0, column + across))];
}

/**
 * Return the frame around rows and columns of a map, in fractions of its side.
 * @param {[number, number]} rows first and last @param {[number, number]} columns @param {[number, number]} side
 */
export function frameOf(rows, columns, side) {
  return {
    top: rows[0] / side[0], left: columns[0] / side[1],
    height: (rows[1] + 1 - rows[0]) / side[0], width: (columns[1] + 1 - columns[0]) / side[1],
  };
}
