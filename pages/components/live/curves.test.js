import assert from "node:assert/strict";
import { test } from "node:test";

import { Curves } from "./curves.js";

const LOSS = { id: "loss", log: true, dense: { id: "each-step", label: "training" }, hover: ".4f",
  points: [{ id: "held-out", label: "validation", split: "val" }] };

// A run with two steps per epoch after four epochs, as the live view has it.
class Run extends Curves {
  constructor(forked) {
    super();
    const step = [1, 2, 3, 4, 5, 6, 7, 8];
    const columns = (steps) => ({ step: steps, value: steps.map((one) => 1 / one), time: steps, nonFinite: [],
      mstep: steps, mvalue: steps.map((one) => 1 / one), mtime: steps, width: 1 });
    this.data = { forked, rate: { chart: "lr" }, spans: [1] };
    this.settings = { x: "epoch", smoothing: 0 };
    this.news = {
      progress: { steps_per_epoch: 2, total_steps: 8 }, remarks: {}, charts: { loss: { beyond: [], below: [] } },
    };
    this.store = { "each-step": columns(step), "held-out": columns([2, 4, 6, 8]) };
  }

  coloured({ color }) {
    return { color };
  }

  drawn() {
    return this.traces(LOSS).map(({ kind, color, x }) => [kind, color, x]);
  }
}

test("a fork's curves are grey up to the epoch of the fork, and its own from there on", () => {
  assert.deepEqual(new Run(3).drawn().slice(0, 5), [
    ["before", "grey", [0.5, 1, 1.5, 2, 2.5, 3]],
    ["raw", 0, [3, 3.5, 4]],
    ["smooth", 0, [3, 3.5, 4]],
    ["before", "grey", [1, 2, 3]],
    ["points", 1, [3, 4]],
  ]);
});

test("a run that is not a fork has all of its curves", () => {
  assert.deepEqual(new Run(0).drawn().slice(0, 3), [
    ["raw", 0, [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]],
    ["smooth", 0, [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]],
    ["points", 1, [1, 2, 3, 4]],
  ]);
});

test("what a logarithmic x axis leaves out depends on its quantity", () => {
  const run = new Run(0);
  run.news.remarks = { range: "", log_x: "Step 0 is left out.", log_time: "", log_y: "", lr: "" };
  const said = (settings) => {
    run.settings = { ...run.settings, ...settings };
    return run.leftOut();
  };
  assert.deepEqual(said({ logx: false, x: "step" }), []);
  assert.deepEqual(said({ logx: true, x: "step" }), ["Step 0 is left out."]);
  assert.deepEqual(said({ logx: true, x: "epoch" }), ["Step 0 is left out."]);
  assert.deepEqual(said({ logx: true, x: "time" }), []); // step 0 has a time above 0
});
