// Run with `node --test`.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Reports } from "./reports.js";

function clocked() {
  const sent = [];
  const clock = { now: 0 };
  return { sent, clock, reports: new Reports((value) => sent.push(value), () => clock.now) };
}

test("the first value is reported at once, and of those that follow only the newest, after the answer", () => {
  const { sent, reports } = clocked();
  for (const value of [0, 1, 2]) reports.offer(value);
  assert.deepEqual(sent, [0]);
  assert.equal(reports.answered(), true);
  assert.deepEqual(sent, [0, 2]);
  assert.equal(reports.answered(), false);
  assert.deepEqual(sent, [0, 2]);
});

test("a value that waited is itself waited for", () => {
  const { sent, reports } = clocked();
  reports.offer("a");
  reports.offer("b");
  reports.answered();
  reports.offer("c");
  assert.deepEqual(sent, ["a", "b"]);
  assert.equal(reports.busy, true);
});

test("without an answer, the next value is reported after the timeout", () => {
  const { sent, clock, reports } = clocked();
  reports.offer(0);
  clock.now = 1499;
  reports.offer(1);
  assert.deepEqual(sent, [0]);
  clock.now = 1500;
  assert.equal(reports.busy, false);
  reports.offer(2);
  assert.deepEqual(sent, [0, 2]);
});

test("a value that is forgotten is not reported any more", () => {
  const { sent, reports } = clocked();
  reports.offer(0);
  reports.offer(1);
  reports.forget();
  assert.equal(reports.answered(), false);
  assert.equal(reports.busy, false);
  assert.deepEqual(sent, [0]);
});
