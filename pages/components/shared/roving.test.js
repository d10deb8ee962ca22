import assert from "node:assert/strict";
import { test } from "node:test";

import { neighbour } from "./roving.js";

test("arrow keys move to the button on the left, right, above and below", () => {
  const places = [[0, 0], [100, 0], [200, 0], [0, 80], [100, 80], [0, 200]].map(([left, top]) => ({ left, top }));
  assert.equal(neighbour("ArrowRight", 0, places), 1);
  assert.equal(neighbour("ArrowRight", 5, places), 5);
  assert.equal(neighbour("ArrowLeft", 3, places), 2);
  assert.equal(neighbour("ArrowDown", 1, places), 4);
  assert.equal(neighbour("ArrowDown", 2, places), 4, "the nearest if there is none directly below");
  assert.equal(neighbour("ArrowDown", 4, places), 5, "over the heading of the next group");
  assert.equal(neighbour("ArrowUp", 5, places), 3);
  assert.equal(neighbour("ArrowUp", 1, places), 1);
  assert.equal(neighbour("Home", 4, places), 0);
  assert.equal(neighbour("End", 1, places), 5);
});
