import assert from "node:assert/strict";
import { test } from "node:test";

import { frameOf, placeAt, step } from "./grid.js";

test("a point belongs to the value under it, and to none outside the map", () => {
  const box = { width: 100, height: 50 };
  assert.deepEqual(placeAt(0, 0, box, [5, 10]), [0, 0]);
  assert.deepEqual(placeAt(99.9, 49.9, box, [5, 10]), [4, 9]);
  assert.deepEqual(placeAt(10, 9.99, box, [5, 10]), [0, 1]);
  assert.equal(placeAt(100, 20, box, [5, 10]), null);
  assert.equal(placeAt(-0.1, 20, box, [5, 10]), null);
});

test("arrows stay on the map", () => {
  assert.deepEqual(step("ArrowDown", [3, 2], [5, 5]), [4, 2]);
  assert.deepEqual(step("ArrowDown", [4, 2], [5, 5]), [4, 2]);
  assert.deepEqual(step("ArrowLeft", [0, 0], [5, 5]), [0, 0]);
  assert.deepEqual(step("Enter", [1, 1], [5, 5]), [1, 1]);
});

test("a frame includes its first and its last row", () => {
  assert.deepEqual(frameOf([2, 4], [0, 0], [10, 5]), { top: 0.2, left: 0, height: 0.3, width: 0.2 });
});
