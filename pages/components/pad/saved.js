// @ts-check
// The drawing in the tab's own storage, with what can be undone: it survives a reload, and is gone with the tab.

const NAME = "convlab.pad";
const MOST = 400_000; // characters; of a longer history the oldest states go

/** @typedef {{ strokes: number[][], past: number[][][], future: number[][][], pen: number }} Drawing */

/** @param {Drawing} drawing @param {Pick<Storage, "setItem">} [storage] */
export function save(drawing, storage = window.sessionStorage) {
  try {
    storage.setItem(NAME, written(drawing));
  } catch { /* a private window, or no room: the drawing is on the page all the same */ }
}

/** The saved drawing; null where there is none or it is none of ours. @param {Pick<Storage, "getItem">} [storage]
 * @returns {Drawing | null} */
export function restore(storage = window.sessionStorage) {
  try {
    const saved = JSON.parse(storage.getItem(NAME) ?? "null");
    const states = [saved.strokes, ...saved.past, ...saved.future];
    return saved.strokes.length + saved.past.length && states.every(isState) && saved.pen >= 4 && saved.pen <= 40 ? saved : null;
  } catch {
    return null;
  }
}

/** What can be undone of a drawing that comes with a page: the saved history, where it led to this drawing.
 * @param {number[][]} strokes @param {Drawing | null} saved @returns {Pick<Drawing, "past" | "future">} */
export function historyOf(strokes, saved) {
  const same = saved && JSON.stringify(saved.strokes) === JSON.stringify(strokes);
  return same ? { past: saved.past, future: saved.future } : { past: [], future: [] };
}

/** @param {Drawing} drawing */
export function written(drawing) {
  let { past, ...rest } = drawing;
  let text = JSON.stringify({ ...rest, past });
  while (text.length > MOST && past.length) {
    past = past.slice(Math.ceil(past.length / 2));
    text = JSON.stringify({ ...rest, past });
  }
  return text;
}

/** @param {unknown} strokes */
function isState(strokes) {
  return Array.isArray(strokes) && strokes.every((stroke) => Array.isArray(stroke) && stroke.length >= 3 && stroke.every(Number.isFinite));
}
