import assert from "node:assert/strict";
import { test } from "node:test";

import { shown } from "./rows.js";

const rows = [
  { name: "body", depth: 0, leaf: false, params: 0, shape: "", size: 0 },
  { name: "body.conv", depth: 1, leaf: true, params: 10, shape: "6×28×28", size: 4704 },
  { name: "body.act", depth: 1, leaf: true, params: 0, shape: "6×28×28", size: 4704 },
  { name: "head", depth: 0, leaf: true, params: 90, shape: "10", size: 10 },
];
const names = (table) => {
  const all = { sort: null, down: true, folded: new Set(), ...table };
  return shown(all, { rows }).map((row) => row.name);
};

test("an open tree has every row, a folded group only its own", () => {
  assert.deepEqual(names({}), ["body", "body.conv", "body.act", "head"]);
  assert.deepEqual(names({ folded: new Set(["body"]) }), ["body", "head"]);
});

test("a sorted table leaves groups out, and sorts shapes by their size", () => {
  assert.deepEqual(names({ sort: "params" }), ["head", "body.conv", "body.act"]);
  assert.deepEqual(names({ sort: "params", down: false }), ["body.act", "body.conv", "head"]);
  assert.equal(names({ sort: "shape" }).at(-1), "head");
  assert.deepEqual(names({ sort: "name", down: false }), ["body.act", "body.conv", "head"]);
});

test("sorting leaves the rows themselves in their order", () => {
  names({ sort: "params" });
  assert.equal(rows[0].name, "body");
});
