import assert from "node:assert/strict";
import test from "node:test";

import { frameCode, onlyHere, unembedded, warning } from "./link.js";

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

test("the HTML of a frame shows the same view without navigation, and is valid with every query", () => {
  assert.equal(
    frameCode('http://lab.example/inside?run=1&only=%22a%22&embed=false'),
    '<iframe src="http://lab.example/inside?run=1&amp;only=%22a%22&amp;embed=true" title="ConvLab" width="100%" '
      + 'height="800" style="border: 0"></iframe>',
  );
});

test("the link out of a frame opens the view with navigation", () => {
  assert.equal(unembedded("http://lab.example/train?embed=true&run=1&embed_options=dark_theme"),
    "http://lab.example/train?run=1");
});
