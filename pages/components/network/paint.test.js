import assert from "node:assert/strict";
import { test } from "node:test";

import { bytes, coloured, extremes, gridIndex, neighbour, numberOf, strongest } from "./paint.js";

test("base64 is decoded to bytes of any value", () => {
  assert.deepEqual([...bytes("AAH/gA==")], [0, 1, 255, 128]);
});

test("each value has the colour of its step, and nothing shines through", () => {
  const table = new Uint8Array(768).fill(0);
  table.set([1, 2, 3], 0);
  table.set([250, 251, 252], 3 * 255);
  assert.deepEqual([...coloured(new Uint8Array([255, 0]), table)], [250, 251, 252, 255, 1, 2, 3, 255]);
});

test("a step is the number it was made from, within half a step", () => {
  assert.equal(numberOf(0, -2, 2), -2);
  assert.equal(numberOf(255, -2, 2), 2);
  const step = Math.round(((0.7 + 2) / 4) * 255);
  assert.ok(Math.abs(numberOf(step, -2, 2) - 0.7) <= 4 / 255 / 2 + 1e-12);
});

test("extremes are those of one map", () => {
  assert.deepEqual(extremes(new Uint8Array([9, 8, 3, 7, 200, 100]), 1, 2), [3, 7]);
});

test("arrows walk through a grid of five in two columns and leave it at its sides", () => {
  const grid = { columns: 2, count: 5 };
  assert.deepEqual(neighbour("ArrowRight", 0, grid), { index: 1 });
  assert.deepEqual(neighbour("ArrowRight", 1, grid), { stage: 1 });
  assert.deepEqual(neighbour("ArrowRight", 4, grid), { stage: 1 }, "the last row has one map");
  assert.deepEqual(neighbour("ArrowLeft", 2, grid), { stage: -1 });
  assert.deepEqual(neighbour("ArrowDown", 2, grid), { index: 4 });
  assert.deepEqual(neighbour("ArrowDown", 3, grid), { index: 3 });
  assert.deepEqual(neighbour("ArrowUp", 0, grid), { index: 0 });
});

test("a point of a grid is the cell under it, and beside the grid the nearest", () => {
  const grid = { columns: 2, step: 8, count: 5 };
  assert.equal(gridIndex(9, 3, grid), 1);
  assert.equal(gridIndex(1, 17, grid), 4);
  assert.equal(gridIndex(12, 17, grid), 4, "the last row has one cell");
  assert.equal(gridIndex(-3, -3, grid), 0);
  assert.equal(gridIndex(40, 90, grid), 4);
});

test("the strongest value is the farthest from zero, also below it", () => {
  assert.equal(strongest(new Uint8Array([128, 0, 200]), -1, 1), 1);
  assert.equal(strongest(new Uint8Array([10, 0, 200]), 0, 5), 2);
});
