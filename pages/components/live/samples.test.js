import assert from "node:assert/strict";
import { test } from "node:test";

import { wordsOf } from "./samples.js";

const CLASSES = ["zero", "one", "two"];

test("before the first evaluation there is no answer", () => {
  assert.deepEqual(wordsOf(undefined, CLASSES, 1), { name: "–", share: 0, right: null, words: "one: no answer yet" });
});

test("an answer is right or wrong and says how sure it is", () => {
  assert.equal(wordsOf([1, 0.42], CLASSES, 1).words, "one: read as one, 42 %");
  assert.equal(wordsOf([2, 0.9], CLASSES, 1).words, "one: read as two, which is wrong, 90 %");
  assert.equal(wordsOf([2, 0.9], CLASSES, 1).right, false);
});

test("a share below 1 is never written as 100 %", () => {
  assert.match(wordsOf([1, 0.9996], CLASSES, 1).words, />99 %$/);
  assert.match(wordsOf([1, 1], CLASSES, 1).words, /100 %$/);
});
