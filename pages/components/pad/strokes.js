// @ts-check
// Strokes as the pad keeps and sends them: a list of width, x, y, x, y … in units of a canvas of 280.

export const SIDE = 280; // units of the canvas's own coordinates
const NEAR = 1.2; // units: points closer than this to the last one add nothing

/** Add a point to a stroke, unless it is where the pen already is. @param {number[]} stroke @param {number} x @param {number} y */
export function extend(stroke, x, y) {
  const [lastX, lastY] = stroke.slice(-2);
  if (stroke.length > 2 && Math.hypot(x - lastX, y - lastY) < NEAR) return;
  stroke.push(inside(x), inside(y));
}

/** A coordinate to a tenth, at most one canvas away. @param {number} value */
export function inside(value) {
  return Math.round(Math.min(2 * SIDE, Math.max(-SIDE, value)) * 10) / 10;
}

/** The strokes of a text from the server. @param {string} text @returns {number[][]} */
export function read(text) {
  const strokes = JSON.parse(text || "[]");
  return Array.isArray(strokes) ? strokes : [];
}
