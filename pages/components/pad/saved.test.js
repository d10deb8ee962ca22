import assert from "node:assert/strict";
import { test } from "node:test";

import { historyOf, restore, save, written } from "./saved.js";

function storage(text) {
  const held = new Map(text === undefined ? [] : [["convlab.pad", text]]);
  return { getItem: (name) => held.get(name) ?? null, setItem: (name, value) => held.set(name, value) };
}

const DRAWING = { strokes: [[16, 1, 2, 3, 4]], past: [[]], future: [], pen: 16 };

test("what was saved is restored with its history", () => {
  const place = storage();
  save(DRAWING, place);
  assert.deepEqual(restore(place), DRAWING);
});

test("a drawing that was cleared can still be undone", () => {
  const place = storage();
  save({ ...DRAWING, strokes: [], past: [[], [[16, 1, 2]]] }, place);
  assert.equal(restore(place).past.length, 2);
});

test("an empty storage and invalid drawings are not restored", () => {
  for (const text of [undefined, "null", "[]", "{", JSON.stringify({ ...DRAWING, strokes: [["a"]] }),
    JSON.stringify({ ...DRAWING, pen: "wide" }), JSON.stringify({ ...DRAWING, strokes: [], past: [] })])
    assert.equal(restore(storage(text)), null, text);
});

test("a full storage is not an error", () => {
  save(DRAWING, { setItem: () => { throw new Error("full"); } });
});

test("the oldest states of a long history are dropped", () => {
  const long = Array.from({ length: 64 }, (_, i) => [[16, ...Array(4000).fill(i)]]);
  const kept = JSON.parse(written({ ...DRAWING, past: long }));
  assert.ok(kept.past.length < 64 && kept.past.length > 0);
  assert.deepEqual(kept.past.at(-1), long.at(-1));
});

test("the same drawing on another page keeps its undo history, a different drawing does not", () => {
  const ahead = { ...DRAWING, future: [[[16, 9, 9]]] };
  assert.deepEqual(historyOf([[16, 1, 2, 3, 4]], ahead), { past: [[]], future: [[[16, 9, 9]]] });
  assert.deepEqual(historyOf([[16, 1, 2, 3, 5]], ahead), { past: [], future: [] });
  assert.deepEqual(historyOf([], null), { past: [], future: [] });
});
