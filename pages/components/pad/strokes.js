// @ts-check
// Strokes as the pad stores and sends them: a list of width, x, y, x, y … in units of a canvas of 280.

export const SIDE = 280; // units of the canvas's coordinates
const NEAR = 1.2; // units: points closer than this to the last one are skipped

/**
 * Add a point to a stroke, unless it is where the pen already is.
 * @param {number[]} stroke @param {number} x @param {number} y
 */
export function extend(stroke, x, y) {
  const [lastX, lastY] = stroke.slice(-2);
  if (stroke.length > 2 && Math.hypot(x - lastX, y - lastY) < NEAR) return;
  stroke.push(inside(x), inside(y));
}

/** Return a coordinate rounded to a tenth, at most one canvas away. @param {number} value */
export function inside(value) {
  return Math.round(Math.min(2 * SIDE, Math.max(-SIDE, value)) * 10) / 10;
}

/** Return the strokes in a text from the server. @param {string} text @returns {number[][]} */
export function read(text) {
  const strokes = JSON.parse(text || "[]");
  return Array.isArray(strokes) ? strokes : [];
}

const STEP = 10; // units by which an arrow key moves the pen; with Shift, a fifth of it
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Return where a key moves the pen, within the canvas, starting in the middle; null for a key that is not an arrow.
 * @param {number[] | null} spot @param {string} key @param {boolean} fine @returns {number[] | null}
 */
export function moved(spot, key, fine) {
  const arrow = ARROWS[key];
  if (!arrow) return null;
  const step = fine ? STEP / 5 : STEP;
  return (spot ?? [SIDE / 2, SIDE / 2]).map((value, axis) => Math.min(SIDE, Math.max(0, value + arrow[axis] * step)));
}
