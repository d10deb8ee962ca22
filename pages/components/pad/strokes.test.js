import assert from "node:assert/strict";
import { test } from "node:test";

import { SIDE, extend, inside, moved, read } from "./strokes.js";

test("a point near the last one adds nothing, one farther away does", () => {
  const stroke = [16];
  extend(stroke, 10, 10);
  extend(stroke, 10.5, 10.5);
  extend(stroke, 12, 10);
  assert.deepEqual(stroke, [16, 10, 10, 12, 10]);
});

test("the first point is always added, even if it is close to the value of the width", () => {
  const stroke = [16];
  extend(stroke, 16, 16);
  assert.deepEqual(stroke, [16, 16, 16]);
});

test("coordinates are tenths and at most a canvas away", () => {
  assert.equal(inside(1.26), 1.3);
  assert.equal(inside(9999), 2 * SIDE);
  assert.equal(inside(-9999), -SIDE);
});

test("an empty text, or JSON that is not a list, has no strokes", () => {
  assert.deepEqual(read(""), []);
  assert.deepEqual(read("{}"), []);
  assert.deepEqual(read("[[16,1,2]]"), [[16, 1, 2]]);
});

test("arrow keys move the pen from the middle, with Shift by less, and never off the canvas", () => {
  assert.deepEqual(moved(null, "ArrowRight", false), [SIDE / 2 + 10, SIDE / 2]);
  assert.deepEqual(moved([100, 100], "ArrowUp", true), [100, 98]);
  assert.deepEqual(moved([4, SIDE], "ArrowLeft", false), [0, SIDE]);
  assert.deepEqual(moved([4, SIDE], "ArrowDown", false), [4, SIDE]);
  assert.equal(moved([4, 4], "a", false), null);
});
