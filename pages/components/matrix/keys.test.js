import assert from "node:assert/strict";
import { test } from "node:test";

import { after } from "./keys.js";

test("arrow keys move by one cell and stop at the edges", () => {
  assert.deepEqual(after([1, 1], "ArrowUp", 3), [0, 1]);
  assert.deepEqual(after([1, 1], "ArrowRight", 3), [1, 2]);
  assert.deepEqual(after([0, 2], "ArrowUp", 3), [0, 2]);
  assert.deepEqual(after([0, 2], "ArrowRight", 3), [0, 2]);
  assert.deepEqual(after([2, 0], "ArrowDown", 3), [2, 0]);
  assert.deepEqual(after([2, 0], "ArrowLeft", 3), [2, 0]);
});

test("Home and End lead to the ends of the row, other keys nowhere", () => {
  assert.deepEqual(after([1, 1], "Home", 3), [1, 0]);
  assert.deepEqual(after([1, 1], "End", 3), [1, 2]);
  assert.equal(after([1, 1], "Enter", 3), null);
  assert.equal(after([1, 1], "constructor", 3), null);
});
