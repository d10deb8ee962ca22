import assert from "node:assert/strict";
import { test } from "node:test";

import { escaped, isDark, number, unbroken } from "./format.js";

test("a number has commas, and a missing number is a dash", () => {
  assert.equal(number(1234567), "1,234,567");
  assert.equal(number(0), "0");
  assert.equal(number(null), "–");
  assert.equal(number(undefined), "–");
});

test("a number and the sign for per cent stay on one line", () => {
  assert.equal(unbroken("test accuracy 10.00 %, validation accuracy >99.99 %."),
    "test accuracy 10.00\u00a0%, validation accuracy >99.99\u00a0%.");
});

test("every markup character in a text is escaped", () => {
  assert.equal(escaped("<0.01 % & <b>"), "&lt;0.01 % &amp; &lt;b&gt;");
});

test("the two themes' backgrounds are dark and light, and an invalid colour is light", () => {
  assert.equal(isDark("#10151c"), true);
  assert.equal(isDark("#ffffff"), false);
  assert.equal(isDark(""), false);
});
