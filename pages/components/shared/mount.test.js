import assert from "node:assert/strict";
import { test } from "node:test";

import { mount } from "./mount.js";

function counted({ serves } = {}) {
  const seen = [];
  const render = mount((place, data) => ({
    connect: ({ setStateValue }) => seen.push(`connect ${setStateValue}`),
    refresh: (newest) => seen.push(`refresh ${newest}`),
    dispose: () => seen.push(`dispose ${data}`),
    ...(serves ? { serves: (newest) => newest === data } : {}),
  }));
  return { seen, render };
}

test("one view is kept over reruns and gets the functions of each call", () => {
  const { seen, render } = counted();
  const parentElement = { isConnected: true };
  render({ data: 1, parentElement, setStateValue: "a" });
  render({ data: 2, parentElement, setStateValue: "b" });
  assert.deepEqual(seen, ["connect a", "refresh 1", "connect b", "refresh 2"]);
});

test("a clean-up ends a view only if its element has been removed from the page", () => {
  const { seen, render } = counted();
  const parentElement = { isConnected: true };
  const cleanUp = render({ data: 1, parentElement });
  cleanUp();
  assert.ok(!seen.includes("dispose 1"));
  parentElement.isConnected = false;
  cleanUp();
  cleanUp();
  assert.equal(seen.filter((each) => each === "dispose 1").length, 1);
});

test("data that a view cannot show create a new view", () => {
  const { seen, render } = counted({ serves: true });
  const parentElement = { isConnected: true };
  render({ data: 1, parentElement });
  render({ data: 2, parentElement });
  assert.deepEqual(seen.filter((each) => !each.startsWith("connect")), ["refresh 1", "dispose 1", "refresh 2"]);
});

test("two places have a view each", () => {
  const { seen, render } = counted();
  render({ data: 1, parentElement: { isConnected: true } });
  const second = { isConnected: true };
  const cleanUp = render({ data: 2, parentElement: second });
  second.isConnected = false;
  cleanUp();
  assert.deepEqual(seen.filter((each) => each.startsWith("dispose")), ["dispose 2"]);
});
