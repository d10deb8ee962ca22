// @ts-check
// The layout of a network's stages: columns from left to right by the longest path from the image, branches below each
// other, and shortcuts led around the stages that they pass. Pure arithmetic in px; the caller gives the sizes.

export const TOP = 36; // px above a stage for its name and kind in one line each
export const LINE = { title: 15.4, detail: 13 }; // px of a further line
export const CLEAR = 6; // px between lines of neighbouring stages
const BOTTOM = 34; // px below it for its shape
const WORDS = 20; // px by which a stage's texts may be wider than its column, at least
const GAP = { across: 40, down: 14, lane: 18 };
const MARGIN = 14;
const MIN_WIDTH = { maps: 56, values: 46 }; // for the texts
const MAX_WORD = 98; // px of a word for which a column is made wider
const MIN_LANE = 104; // px of a branch

/**
 * @typedef {{ id: string, inputs: string[], shape: number[], shown: number, block?: string, closed?: boolean,
 *   family?: string, title?: string, detail?: string }} Stage
 * @typedef {{ w: number, h: number, columns?: number, rows?: number, side?: number, step?: number }} Size
 * @typedef {Size & { x: number, y: number, rank: number, left: number, width: number }} Place x, y: corner of the drawn
 *   part; left, width: of the column, for its texts
 * @typedef {{ rank: number, y: number, h: number, id?: string, before: Cell[] }} Cell a stage, or a waypoint (no id)
 */

/**
 * Widths in px of a stage's two texts. @typedef {{ title: (text: string) => number, detail: (text: string) => number }} Ruler
 * @type {Ruler}
 */
const LETTERS = { title: (text) => 7 * text.length, detail: (text) => 5.6 * text.length };

// Limits of the scale: to fit into the page, as LeNet-5 with 16 and 48 maps does on a laptop, and to fill it.
const [MIN_GROWTH, GROWTH] = [0.5, 1.35];
const [PHONE, SCROLLED] = [560, 0.78]; // px; scale of a picture that does not fit, except on a phone

/**
 * Return the largest picture that fits into the width, or one that scrolls if its maps would be too small to click.
 * @param {number} wide px @param {number} columns of stages, without the first
 * @param {(growth: number, more?: number) => any} placed the picture at a scale, with extra px between columns
 */
export function fitted(wide, columns, placed) {
  let growth = MIN_GROWTH;
  let plan = placed(growth);
  if (plan.width > wide) return placed(wide < PHONE ? 1 : SCROLLED);
  for (let next = MIN_GROWTH; next <= GROWTH; next += 0.04) {
    const larger = placed(next);
    if (larger.width > wide) break;
    [growth, plan] = [next, larger];
  }
  const spare = Math.min(40, (wide - plan.width) / Math.max(1, columns));
  return spare > 1 ? placed(growth, spare) : plan;
}

/**
 * Break a text into lines of at most `px`: after a point, an underscore or a space, but not before a "·".
 * @param {string} text @param {number} px @param {(text: string) => number} widthOf
 */
export function wrapped(text, px, widthOf) {
  /** @type {string[]} */
  const lines = [];
  for (const word of wordsOf(text)) {
    const last = lines.length - 1;
    if (last >= 0 && widthOf((lines[last] + word).trimEnd()) <= px) lines[last] += word;
    else lines.push(word);
  }
  return lines.map((line) => line.trimEnd());
}

/** @param {string} text */
function wordsOf(text) {
  return text.replaceAll(" ·", "\u00a0·").split(/(?<=[._ ])/);
}

/** Return the title as it is shown: a closed block can be opened. @param {Stage} stage */
export function titleOf({ title = "", closed }) {
  return closed ? `+\u00a0${title}` : title;
}

/** Return each stage's column: one after the last of its inputs. @param {Stage[]} stages */
export function ranks(stages) {
  /** @type {Map<string, number>} */
  const found = new Map();
  for (const { id, inputs } of stages) {
    found.set(id, Math.max(-1, ...inputs.map((each) => found.get(each) ?? -1)) + 1);
  }
  return found;
}

/**
 * Return the rule for the drawn side of a map: proportional if the smallest map can still be clicked, else compressed.
 * @param {number[]} sides @param {{ largest: number, smallest: number }} limits
 */
export function sideRule(sides, { largest, smallest }) {
  const [small, big] = [Math.min(...sides), Math.max(...sides)];
  const power = small < big ? Math.min(1, Math.log(smallest / largest) / Math.log(small / big)) : 1;
  return (/** @type {number} */ side) => Math.max(smallest, largest * (side / big) ** power);
}

/** Whether a stage's output is maps; maps of a single value are a vector. @param {Stage} stage */
export function isMaps({ shape }) {
  return shape.length === 3 && (shape[1] > 1 || shape[2] > 1);
}

/**
 * Return the size of a stage drawn as a grid of its maps: two columns, more if the lane is too low.
 * @param {Stage} stage @param {number} lane height in px @param {(side: number) => number} rule @returns {Size}
 */
export function gridSize(stage, lane, rule) {
  const maps = isMaps(stage);
  const side = maps ? Math.round(rule(stage.shape[1])) : 7;
  const gap = maps ? Math.max(2, Math.round(side / 22)) : 1;
  const step = side + gap;
  const most = Math.max(1, Math.floor((lane + gap) / step));
  const wanted = maps ? (stage.shown > 3 ? 2 : 1) : Math.ceil(stage.shown / 32);
  const least = Math.max(wanted, Math.ceil(stage.shown / most));
  const empty = (count) => Math.ceil(stage.shown / count) * count - stage.shown; // unused cells of the last row
  const columns = maps && empty(least + 1) < empty(least) ? least + 1 : least;
  const rows = Math.ceil(stage.shown / columns);
  return { w: columns * step - gap, h: rows * step - gap, columns, rows, side, step };
}

/**
 * Return the size of a stage drawn as a slab: its thickness by its channels, height and depth by its maps.
 * @param {Stage} stage
 * @param {{ rule: (side: number) => number, channels: number, values: number, largest: number, thickest: number }} of
 *   channels, values: largest number of channels of any maps, and of values of any vector
 * @returns {Size & { thick: number, deep: number }}
 */
export function slabSize(stage, { rule, channels, values, largest, thickest }) {
  const maps = isMaps(stage);
  const side = maps ? rule(stage.shape[1]) : Math.max(12, largest * Math.sqrt(stage.shape[0] / values));
  const thick = maps ? Math.max(5, thickest * Math.sqrt(stage.shape[0] / channels)) : 9;
  const deep = maps ? Math.round(side * 0.42) : 6;
  return { w: thick + deep, h: side + deep, side, thick, deep };
}

/**
 * Return the positions of the stages; `words` is by how many px their texts may be wider than their column, `top` the
 * height of the texts above a stage, which is more if one of them needs further lines.
 * size: of a stage's drawn part in a lane of a height in px. height: of the picture if nothing branches.
 * @param {Stage[]} stages
 * @param {{ size: (stage: Stage, lane: number) => Size, height?: number, gap?: number, ruler?: Ruler }} options
 */
export function layout(stages, { size, height = 400, gap = GAP.across, ruler = LETTERS }) {
  const plan = placed(stages, { size, height, gap, ruler, top: TOP });
  const top = Math.max(...stages.map((stage) => heightOf(stage, plan.places[stage.id].width + plan.words - CLEAR, ruler)));
  return top > TOP ? placed(stages, { size, height, gap, ruler, top }) : plan;
}

/** Return the height of the texts above a stage. @param {Stage} stage @param {number} px @param {Ruler} ruler */
function heightOf(stage, px, ruler) {
  const more = (text, kind) => LINE[kind] * Math.max(0, wrapped(text, px, ruler[kind]).length - 1);
  return TOP + more(titleOf(stage), "title") + more(stage.detail ?? "", "detail");
}

function placed(stages, { size, height, gap, ruler, top }) {
  const rank = ranks(stages);
  const columns = cellsOf(stages, rank);
  /** @type {Map<string, Size>} */
  const sizes = new Map();
  const byId = new Map(stages.map((stage) => [stage.id, stage]));
  for (const cells of columns) {
    const boxes = cells.filter((cell) => cell.id);
    const lane = boxes.length > 1 ? Math.max(MIN_LANE, height / boxes.length - top - BOTTOM) : height;
    for (const cell of boxes) {
      const found = size(/** @type {Stage} */ (byId.get(/** @type {string} */ (cell.id))), lane);
      sizes.set(/** @type {string} */ (cell.id), found);
      cell.h = found.h + top + BOTTOM;
    }
    stack(cells);
  }
  straighten(stages, columns, rank);
  return measured(stages, columns, rank, sizes, { gap, ruler, head: top });
}

/** Return the stages by column, with a waypoint in each column that an edge passes. */
function cellsOf(stages, rank) {
  /** @type {Cell[][]} */
  const columns = Array.from({ length: Math.max(...rank.values()) + 1 }, () => []);
  /** @type {Map<string, Cell>} */
  const cells = new Map();
  for (const { id, inputs } of stages) {
    const at = /** @type {number} */ (rank.get(id));
    /** @type {Cell} */
    const cell = { id, rank: at, y: 0, h: 0, before: [] };
    cells.set(id, cell);
    for (const input of inputs) {
      let last = /** @type {Cell} */ (cells.get(input));
      for (let between = last.rank + 1; between < at; between++) {
        /** @type {Cell & { way?: string }} */
        const point = { rank: between, y: 0, h: GAP.lane, before: [last], way: `${input} ${id}` };
        columns[between].push(point);
        last = point;
      }
      cell.before.push(last);
    }
    columns[at].push(cell);
  }
  return columns;
}

/** Order a column's cells by their inputs, waypoints above the stages that they pass, and centre the stages. */
function stack(cells) {
  const mean = (cell) => cell.before.reduce((sum, each) => sum + each.y, 0) / Math.max(1, cell.before.length);
  cells.sort((a, b) => Math.round(mean(a)) - Math.round(mean(b)) || Number(Boolean(a.id)) - Number(Boolean(b.id)));
  let y = 0;
  for (const cell of cells) {
    cell.y = y + cell.h / 2;
    y += cell.h + GAP.down;
  }
  const boxes = cells.filter((cell) => cell.id);
  const ends = boxes.length ? [boxes[0], boxes[boxes.length - 1]] : [cells[0], cells[cells.length - 1]];
  const middle = (ends[0].y - ends[0].h / 2 + ends[1].y + ends[1].h / 2) / 2;
  for (const cell of cells) cell.y -= middle;
}

/** Give all waypoints of an edge the height of the one that is furthest from the axis. */
function straighten(stages, columns, rank) {
  for (const { id, inputs } of stages) for (const input of inputs) {
    const way = waypoints(columns, rank, input, id);
    const furthest = way.reduce((far, point) => (Math.abs(point.y) > Math.abs(far) ? point.y : far), 0);
    const inner = way.some((point) => columns[point.rank].filter((cell) => cell.id).length > 1);
    if (!inner) for (const point of way) point.y = furthest;
  }
}

function waypoints(columns, rank, input, id) {
  const found = [];
  for (let at = rank.get(input) + 1; at < rank.get(id); at++) {
    const point = columns[at].find((cell) => cell.way === `${input} ${id}`);
    if (point) found.push(point);
  }
  return found;
}

/** Return the width of a column in which no word of a stage's texts is cut. @param {Stage} stage @param {Ruler} ruler */
function leastWidth(stage, ruler) {
  const least = MIN_WIDTH[isMaps(stage) ? "maps" : "values"];
  const widest = (text, kind) => Math.max(...wordsOf(text).map((word) => ruler[kind](word.trimEnd())));
  const words = Math.max(widest(titleOf(stage), "title"), widest(stage.detail ?? "", "detail"));
  return Math.max(least, Math.min(MAX_WORD, words) - WORDS);
}

function measured(stages, columns, rank, sizes, { gap, ruler, head }) {
  const cells = columns.flat();
  const byId = new Map(stages.map((stage) => [stage.id, stage]));
  const framed = stages.some((stage) => stage.block && !stage.closed) ? 22 : 0;
  const top = Math.min(...cells.map((cell) => cell.y - cell.h / 2)) - MARGIN - framed;
  const bottom = Math.max(...cells.map((cell) => cell.y + cell.h / 2)) + MARGIN;
  const lefts = [];
  const widths = [];
  let x = MARGIN;
  for (const column of columns) {
    const ids = column.flatMap((cell) => cell.id ?? []);
    const width = Math.max(...ids.map((id) => Math.max(sizes.get(id).w, leastWidth(byId.get(id), ruler))));
    lefts.push(x);
    widths.push(width);
    x += width + gap;
  }
  /** @type {Record<string, Place>} */
  const places = {};
  for (const cell of cells) {
    if (!cell.id) continue;
    const size = sizes.get(cell.id);
    const [left, width] = [lefts[cell.rank], widths[cell.rank]];
    const [x, y] = [left + (width - size.w) / 2, cell.y - cell.h / 2 + head - top];
    places[cell.id] = { ...size, rank: cell.rank, left, width, x, y };
  }
  const edges = stages.flatMap((stage) => stage.inputs.map((input) => {
    const way = waypoints(columns, rank, input, stage.id)
      .map((point) => ({ y: point.y - top, from: lefts[point.rank], to: lefts[point.rank] + widths[point.rank] }));
    return { from: input, to: stage.id, way };
  }));
  return {
    places, edges, frames: framesOf(stages, places, head), width: x - gap + MARGIN, height: bottom - top,
    words: Math.max(WORDS, gap - 4), top: head,
  };
}

/** Return a frame around the stages of each expanded block. */
function framesOf(stages, places, head) {
  const frames = new Map();
  for (const stage of stages) {
    if (!stage.block || stage.closed) continue;
    const { left, width, y, h } = places[stage.id];
    const old = frames.get(stage.block) ?? { x: Infinity, y: Infinity, right: 0, bottom: 0 };
    frames.set(stage.block, {
      x: Math.min(old.x, left - 12), y: Math.min(old.y, y - head - 24),
      right: Math.max(old.right, left + width + 12), bottom: Math.max(old.bottom, y + h + BOTTOM + 4),
    });
  }
  return [...frames].map(([block, { x, y, right, bottom }]) => ({ block, x, y, w: right - x, h: bottom - y }));
}

/** Return the band between two neighbours as an SVG path. @param {Place} from @param {Place} to */
export function band(from, to) {
  const [a, b] = [from.x + from.w, to.x];
  const m = (a + b) / 2;
  return `M${a} ${from.y}C${m} ${from.y} ${m} ${to.y} ${b} ${to.y}V${to.y + to.h}`
    + `C${m} ${to.y + to.h} ${m} ${from.y + from.h} ${a} ${from.y + from.h}Z`;
}

/**
 * Return the line of an edge that passes other columns, as an SVG path.
 * @param {Place} from @param {Place} to @param {{ y: number, from: number, to: number }[]} way
 */
export function around(from, to, way) {
  const within = (y, place) => Math.min(Math.max(y, place.y + 8), place.y + Math.max(8, place.h - 8));
  let [x, y] = [from.x + from.w, within(way[0].y, from)];
  let path = `M${x} ${y}`;
  const curve = (toX, toY) => {
    const m = (x + toX) / 2;
    path += `C${m} ${y} ${m} ${toY} ${toX} ${toY}`;
    [x, y] = [toX, toY];
  };
  for (const point of way) {
    curve(point.from, point.y);
    path += `H${point.to}`;
    x = point.to;
  }
  curve(to.x, within(way[way.length - 1].y, to));
  return path;
}
