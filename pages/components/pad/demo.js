// @ts-check
// A sample digit that an empty pad draws by itself once per tab, so that a newcomer sees at once what drawing does.

const NAME = "convlab.pad.demo";
const DURATION_MS = 2200;

/** Return whether to draw it: not again in the same tab, and not for users who prefer less motion.
 * @param {Pick<Storage, "getItem" | "setItem">} [storage] @param {boolean} [still] */
export function isDue(storage = window.sessionStorage, still = matchMedia("(prefers-reduced-motion: reduce)").matches) {
  if (still) return false;
  try {
    if (storage.getItem(NAME)) return false;
    storage.setItem(NAME, "seen");
    return true;
  } catch {
    return false; // a private window: every page load would be the first
  }
}

/** Return the share of the drawing that is drawn after a time in milliseconds, from 0 to 1. @param {number} elapsed */
export const shareAt = (elapsed) => Math.min(1, Math.max(0, elapsed / DURATION_MS));

/** Return the strokes up to this share of their points, at least the first point.
 * @param {number[][]} strokes @param {number} share @returns {number[][]} */
export function drawnTo(strokes, share) {
  let left = Math.max(1, Math.round(share * strokes.reduce((sum, stroke) => sum + (stroke.length - 1) / 2, 0)));
  const drawn = [];
  for (const stroke of strokes) {
    if (left <= 0) break;
    drawn.push(stroke.slice(0, 1 + 2 * left));
    left -= (stroke.length - 1) / 2;
  }
  return drawn;
}
