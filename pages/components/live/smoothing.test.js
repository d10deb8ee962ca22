import assert from "node:assert/strict";
import { test } from "node:test";

import { smoothedMeans } from "./smoothing.js";

test("no smoothing is a copy", () => {
  const means = [3, 1, 2];
  assert.deepEqual(smoothedMeans(means, 1, 1), means);
  assert.notEqual(smoothedMeans(means, 1, 1), means);
});

test("a constant stays constant to both ends", () => {
  assert.deepEqual(smoothedMeans([2, 2, 2, 2, 2, 2], 1, 5), [2, 2, 2, 2, 2, 2]);
});

test("a missing value stays a gap and does not count in its neighbours' means", () => {
  assert.deepEqual(smoothedMeans([1, null, 3], 1, 3), [1, null, 3]);
});
