import assert from "node:assert/strict";
import { test } from "node:test";

import { Baseline } from "./baseline.js";

const LOSS = { id: "loss", log: true, dense: { id: "each-step", label: "training", title: "batch loss" }, hover: ".4f",
  points: [{ id: "held-out", label: "validation", title: "validation loss", split: "val" }] };
const part = (step) => ({ step, value: step.map((one) => 1 / one), time: step.map((one) => one / 10), width: 1 });
// Two steps per epoch, where the run in front of it may have another number.
const NEWS = { live: false, progress: { steps_per_epoch: 2, total_steps: 4 }, newest: { "held-out": [4, "0.25"] },
  series: { "each-step": part([1, 2, 3, 4]), "held-out": part([2, 4]) } };

function taken(settings) {
  const baseline = new Baseline({ baseline: "a1", forked: 3, spans: [1] }, {}, () => {});
  baseline.coloured = ({ line, color }) => ({ line: { ...line, color } });
  baseline.take(NEWS);
  return baseline.behind(LOSS, { smoothing: 0, x: "step", ...settings });
}

test("a baseline is drawn in grey, smoothed and on held-out images, with one entry in the legend", () => {
  const lines = taken({});
  assert.deepEqual(lines.map(({ x, y }) => [x, y]), [[[1, 2, 3, 4], [1, 1 / 2, 1 / 3, 1 / 4]], [[2, 4], [0.5, 0.25]]]);
  assert.deepEqual(lines.map(({ line }) => line.color), ["grey", "grey"]);
  assert.deepEqual(lines.map(({ showlegend }) => showlegend), [true, false]);
  assert.ok(lines.every(({ kind, series }) => kind === "baseline" && series === undefined)); // never extended
});

test("a baseline has its own epochs and times, and no part before a fork", () => {
  assert.deepEqual(taken({ x: "epoch" })[1].x, [1, 2]);
  assert.deepEqual(taken({ x: "time" })[1].x, [0.2, 0.4]);
});

test("a baseline without points draws and says nothing", () => {
  const baseline = new Baseline({ baseline: "a1", spans: [1] }, {}, () => {});
  assert.deepEqual(baseline.behind(LOSS, { smoothing: 0 }), []);
  assert.equal(baseline.words(LOSS), "");
});

test("the description of a chart names the baseline's newest values", () => {
  const baseline = new Baseline({ baseline: "a1", spans: [1] }, {}, () => {});
  baseline.take(NEWS);
  assert.equal(baseline.words(LOSS), ". Baseline: validation loss 0.25");
});

test("new points replace the old ones, and those that arrive after the end are ignored", () => {
  let changes = 0;
  const baseline = new Baseline({ baseline: "a1", spans: [1] }, {}, () => { changes += 1; });
  baseline.take(NEWS);
  baseline.take(NEWS);
  assert.deepEqual(baseline.store["held-out"].step, [2, 4]);
  baseline.close();
  baseline.take(NEWS);
  assert.equal(changes, 2);
});
