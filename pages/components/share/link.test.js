import assert from "node:assert/strict";
import test from "node:test";

import { onlyHere, warning } from "./link.js";

test("loopback addresses work on this computer only", () => {
  const here = ["localhost", "lab.localhost", "127.0.0.1", "127.8.0.1", "[::1]"];
  const elsewhere = ["192.168.0.7", "lab.example.org", "128.0.0.1", "notlocalhost", "[2001:db8::1]"];
  for (const host of here) assert.equal(onlyHere(host), true, host);
  for (const host of elsewhere) assert.equal(onlyHere(host), false, host);
});

test("a link that cannot be shared or scanned has a warning", () => {
  assert.match(warning("http://127.0.0.1:8501/train?run=1", 2000), /this computer only/);
  assert.equal(warning("http://192.168.0.7:8501/train?run=1", 2000), "");
  assert.equal(warning(`http://192.168.0.7:8501/?${"x".repeat(1975)}`, 2000), "");
  assert.match(warning(`http://192.168.0.7:8501/?${"x".repeat(1976)}`, 2000), /too long/);
});
