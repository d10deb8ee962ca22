// @ts-check
// The drawing and its undo history in the tab's session storage: they survive a reload, but not the tab.

const NAME = "convlab.pad";
const MAX = 400_000; // characters; the oldest states of a longer history are dropped

/** @typedef {{ strokes: number[][], past: number[][][], future: number[][][], pen: number }} Drawing */

/** @param {Drawing} drawing @param {Pick<Storage, "setItem">} [storage] */
export function save(drawing, storage = window.sessionStorage) {
  try {
    storage.setItem(NAME, written(drawing));
  } catch { /* a private window, or no space left: the drawing is still on the page */ }
}

/** Return the saved drawing, null if there is none or it is not valid. @param {Pick<Storage, "getItem">} [storage]
 * @returns {Drawing | null} */
export function restore(storage = window.sessionStorage) {
  try {
    const saved = JSON.parse(storage.getItem(NAME) ?? "null");
    const states = [saved.strokes, ...saved.past, ...saved.future];
    const valid = states.every(isState) && Number.isFinite(saved.pen);
    return saved.strokes.length + saved.past.length && valid ? saved : null;
  } catch {
    return null;
  }
}

/** Return the undo history of a drawing that comes with a page: the saved history, if it led to this drawing.
 * @param {number[][]} strokes @param {Drawing | null} saved @returns {Pick<Drawing, "past" | "future">} */
export function historyOf(strokes, saved) {
  const same = saved && JSON.stringify(saved.strokes) === JSON.stringify(strokes);
  return same ? { past: saved.past, future: saved.future } : { past: [], future: [] };
}

/** @param {Drawing} drawing */
export function written(drawing) {
  let { past, ...rest } = drawing;
  let text = JSON.stringify({ ...rest, past });
  while (text.length > MAX && past.length) {
    past = past.slice(Math.ceil(past.length / 2));
    text = JSON.stringify({ ...rest, past });
  }
  return text;
}

/** @param {unknown} strokes */
function isState(strokes) {
  const isStroke = (stroke) => Array.isArray(stroke) && stroke.length >= 3 && stroke.every(Number.isFinite);
  return Array.isArray(strokes) && strokes.every(isStroke);
}
