import assert from "node:assert/strict";
import { test } from "node:test";

import { SHARES, emptyAxes, fitted, isLow, rangeMode } from "./axes.js";

const reach = { step: 100, epoch: 5, time: 0 };

test("an empty chart reaches to the run's end, and shares from 0 to 1", () => {
  const { x, y } = emptyAxes({ share: true }, { settings: { x: "epoch" }, reach });
  assert.deepEqual(x, { range: [0, 5], autorange: false });
  assert.deepEqual(y, { range: SHARES, autorange: false });
});

test("an axis of unknown end, or a logarithmic one, has no numbers yet", () => {
  const hidden = { showticklabels: false };
  assert.deepEqual(emptyAxes({}, { settings: { x: "time" }, reach }), { x: hidden, y: hidden });
  assert.deepEqual(emptyAxes({}, { settings: { x: "step", logx: true }, reach }).x, hidden);
});

test("only a chart with a single line of points that are not shares is low", () => {
  assert.equal(isLow({ points: [1], share: false }), true);
  assert.equal(isLow({ points: [1], share: true }), false);
  assert.equal(isLow({ points: [1, 2], share: false }), false);
  assert.equal(isLow({ dense: {}, points: [1], share: false }), false);
});

test("the axis leaves outliers out, by its scale, except for the full range", () => {
  const news = { charts: { loss: { range: [0, 2], log_range: [-1, 1] } } };
  assert.deepEqual(fitted({ id: "loss", log: true }, { settings: {}, news }).range, [0, 2]);
  assert.deepEqual(fitted({ id: "loss", log: true }, { settings: { logy: true }, news }).range, [-1, 1]);
  assert.deepEqual(fitted({ id: "loss", log: true }, { settings: { full: true }, news }), {});
  assert.deepEqual(fitted({ id: "loss", log: true }, { settings: {} }), {});
});

test("the axis of a loss includes 0, unless the start is skipped", () => {
  const loss = { dense: {}, points: [1, 2], share: false, log: true };
  assert.equal(rangeMode(loss, {}), "tozero");
  assert.equal(rangeMode(loss, { skip: true }), "normal");
  assert.equal(rangeMode({ ...loss, share: true, log: false }, {}), "normal");
  assert.equal(rangeMode({ points: [1], share: false, log: false }, { skip: true }), "tozero");
});
