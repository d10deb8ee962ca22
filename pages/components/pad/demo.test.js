import assert from "node:assert/strict";
import { test } from "node:test";

import { drawnTo, isDue, shareAt } from "./demo.js";

const SAMPLE = [[16, 1, 2, 3, 4, 5, 6], [9, 7, 8]];

function storage() {
  const held = new Map();
  return { getItem: (name) => held.get(name) ?? null, setItem: (name, value) => held.set(name, value) };
}

test("the sample is drawn once per tab", () => {
  const tab = storage();
  assert.deepEqual([isDue(tab, false), isDue(tab, false), isDue(storage(), false)], [true, false, true]);
});

test("it is not drawn for users who prefer less motion, and then not counted as seen", () => {
  const tab = storage();
  assert.equal(isDue(tab, true), false);
  assert.equal(isDue(tab, false), true);
});

test("it is not drawn without storage, because it would be drawn at every visit", () => {
  const full = { getItem: () => null, setItem: () => { throw new Error("full"); } };
  assert.equal(isDue(full, false), false);
});

test("points are added in their order, stroke by stroke", () => {
  assert.deepEqual(drawnTo(SAMPLE, 0), [[16, 1, 2]]);
  assert.deepEqual(drawnTo(SAMPLE, 0.5), [[16, 1, 2, 3, 4]]);
  assert.deepEqual(drawnTo(SAMPLE, 0.75), [[16, 1, 2, 3, 4, 5, 6]]);
  assert.deepEqual(drawnTo(SAMPLE, 1), SAMPLE);
  assert.deepEqual(drawnTo([], 1), []);
});

test("the share starts at 0 and ends at 1", () => {
  assert.deepEqual([shareAt(-5), shareAt(0), shareAt(1100), shareAt(9999)], [0, 0, 0.5, 1]);
});
