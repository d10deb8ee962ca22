import assert from "node:assert/strict";
import { test } from "node:test";

import { nextPoll } from "./look.js";

test("a run is asked for less often without news, and a paused one as often as one in training without news", () => {
  const training = { live: true, state: "running" };
  assert.equal(nextPoll(training, true, 5000), 500);
  assert.equal(nextPoll(training, false, 500), 750);
  assert.equal(nextPoll(training, false, 4000), 5000);
  assert.equal(nextPoll({ live: false, state: "paused" }, false, 500), 5000);
  assert.equal(nextPoll({ live: false, state: "finished" }, true, 500), 20000);
});
