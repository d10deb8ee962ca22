import assert from "node:assert/strict";
import { test } from "node:test";

import { grouped } from "./groups.js";

test("cards are collected by group, in their order", () => {
  const cards = [{ id: "a", group: "x" }, { id: "b", group: "x" }, { id: "c", group: "y" }];
  const groups = grouped(cards).map(({ group, cards: own }) => [group, own.map(({ id }) => id)]);
  assert.deepEqual(groups, [["x", ["a", "b"]], ["y", ["c"]]]);
  assert.deepEqual(grouped([]), []);
});
