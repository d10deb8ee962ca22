import assert from "node:assert/strict";
import { test } from "node:test";

import { around, band, fitted, gridSize, layout, LINE, ranks, sideRule, slabSize, TOP, wrapped } from "./layout.js";

const stage = (id, inputs, shape = [4, 8, 8], more = {}) => ({ id, inputs, shape, shown: shape[0], ...more });
const square = () => ({ w: 50, h: 60 });
const chain = [stage("image", []), stage("conv", ["image"]), stage("answer", ["conv"])];
const residual = [
  stage("image", []), stage("a", ["image"]), stage("b", ["a"]), stage("sum", ["b", "image"]), stage("answer", ["sum"]),
];
const inception = [
  stage("image", []), stage("one", ["image"]), stage("reduce", ["image"]), stage("three", ["reduce"]),
  stage("pool", ["image"]), stage("five", ["pool"]), stage("join", ["one", "three", "five"]),
];
const clear = (a, b) => a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;

test("a stage's column is after the last of its inputs", () => {
  assert.deepEqual([...ranks(residual).values()], [0, 1, 2, 3, 4]);
  assert.equal(ranks(inception).get("join"), 3);
});

test("a chain goes from left to right on one axis", () => {
  const { places, width, height } = layout(chain, { size: square });
  assert.ok(places.image.x < places.conv.x && places.conv.x < places.answer.x);
  assert.equal(places.image.y, places.answer.y);
  assert.ok(places.answer.x + 50 < width && places.answer.y + 60 < height);
});

test("a shortcut passes above the stages that it skips, at one height, and they stay on the axis", () => {
  const { places, edges } = layout(residual, { size: square });
  const { way } = edges.find((edge) => edge.from === "image" && edge.to === "sum");
  assert.equal(way.length, 2);
  assert.equal(way[0].y, way[1].y);
  assert.ok(way[0].y < places.a.y && way[0].y > 0);
  assert.equal(new Set(Object.values(places).map((place) => place.y)).size, 1);
  assert.ok(edges.filter((edge) => edge.way.length).length === 1);
});

test("branches are below each other without overlaps, and the join is in the middle", () => {
  const { places, edges, height } = layout(inception, { size: square });
  const all = Object.values(places);
  for (const a of all) for (const b of all) assert.ok(a === b || clear(a, b));
  assert.equal(places.one.x, places.reduce.x);
  assert.equal(places.join.y, places.image.y);
  const { way } = edges.find((edge) => edge.from === "one" && edge.to === "join");
  assert.equal(way.length, 1);
  for (const { y, h } of all.filter(({ rank }) => rank === 2)) assert.ok(way[0].y < y || way[0].y > y + h);
  assert.ok(all.every((place) => place.y > 0 && place.y + place.h < height));
});

test("texts are broken after points, underscores and spaces, and a middle dot stays with the word before it", () => {
  const lines = (text, letters) => wrapped(text, letters, (part) => part.length);
  assert.deepEqual(lines("conv_depthwise", 14), ["conv_depthwise"]);
  assert.deepEqual(lines("conv_depthwise", 13), ["conv_", "depthwise"]);
  assert.deepEqual(lines("branch3.conv_reduce", 13), ["branch3.conv_", "reduce"]);
  assert.deepEqual(lines("linear · ReLU · dropout", 15), ["linear\u00a0· ReLU\u00a0·", "dropout"]);
  assert.deepEqual(lines("linear · ReLU", 8), ["linear\u00a0·", "ReLU"]);
  assert.deepEqual(lines("inception3a", 4), ["inception3a"]); // one word
});

test("texts that need further lines have room above all stages, and no word is wider than its column", () => {
  const named = (more) => [chain[0], { ...chain[1], ...more }, chain[2]];
  const plan = (more) => layout(named(more), { size: square });
  const [plain, detail] = [plan({ title: "conv1", detail: "ReLU" }), plan({ title: "conv1", detail: "linear · ReLU · dropout" })];
  assert.deepEqual([plain.top, detail.top], [TOP, TOP + LINE.detail]); // 56 + 36 - 6 px are 15 letters of 5.6 px
  assert.equal(detail.places.conv.y - plain.places.conv.y, LINE.detail);
  assert.equal(detail.height - plain.height, LINE.detail);
  assert.equal(plan({ title: "conv_depthwise", detail: "ReLU" }).top, TOP + LINE.title); // 14 letters of 7 px
  assert.equal(plan({ title: "depthwise_depthwise", detail: "" }).places.conv.width, 56);
  assert.equal(plan({ title: "transposed_x", detail: "" }).places.conv.width, 57); // 11 letters, 20 px beyond the column
});

test("a closed block's column fits its whole name, and texts extend to the middle of wide gaps", () => {
  const block = (title) => [...chain.slice(0, 1), { ...chain[1], closed: true, block: title, title }, chain[2]];
  const at = (title, gap) => layout(block(title), { size: square, gap });
  assert.equal(at("layer1", 40).places.conv.width, 56);
  assert.equal(at("inception3a", 40).places.conv.width, 71); // 13 letters of 7 px, 20 of them beyond the column
  assert.equal(at("a-name-that-is-far-too-long", 40).places.conv.width, 78);
  assert.deepEqual([at("layer1", 18).words, at("layer1", 40).words], [20, 36]);
});

test("an expanded block has a frame around all its stages and no others", () => {
  const opened = residual.map((each) => ("a b sum".split(" ").includes(each.id) ? { ...each, block: "layer1" } : each));
  const { frames, places } = layout(opened, { size: square });
  assert.equal(frames.length, 1);
  const [{ x, y, w, h }] = frames;
  for (const [id, place] of Object.entries(places)) {
    const inside = place.x >= x && place.x + place.w <= x + w && place.y >= y && place.y + place.h <= y + h;
    assert.equal(inside, "a b sum".split(" ").includes(id), id);
  }
  assert.ok(y >= 0);
  const closed = stage("closed", ["answer"], [4, 8, 8], { block: "x", closed: true });
  assert.deepEqual(layout([...chain, closed], { size: square }).frames, []);
});

test("maps are drawn in proportion if the smallest can be clicked, else compressed between both ends", () => {
  const exact = sideRule([28, 14], { largest: 96, smallest: 28 });
  assert.equal(exact(14), 48);
  const compressed = sideRule([224, 7], { largest: 96, smallest: 28 });
  assert.ok(Math.abs(compressed(7) - 28) < 1e-9 && Math.abs(compressed(224) - 96) < 1e-9);
  assert.ok(compressed(28) > 28 && compressed(28) < compressed(56));
  assert.equal(sideRule([8, 8], { largest: 96, smallest: 28 })(8), 96);
});

test("a grid has two columns, more in a low lane, and a vector has columns of 32", () => {
  const rule = () => 40;
  assert.equal(gridSize(stage("x", [], [16, 8, 8]), 400, rule).columns, 2);
  const low = gridSize(stage("x", [], [16, 8, 8]), 100, rule);
  assert.ok(low.h <= 100 && low.columns * low.rows >= 16);
  assert.equal(gridSize(stage("x", [], [1, 8, 8]), 400, rule).columns, 1);
  assert.equal(gridSize(stage("x", [], [84]), 400, rule).columns, 3);
  assert.equal(gridSize(stage("x", [], [64, 1, 1]), 400, rule).columns, 2);
});

test("a slab is thicker with more channels and higher with larger maps", () => {
  const of = { rule: (side) => 4 * side, channels: 64, values: 100, largest: 100, thickest: 60 };
  const [thin, thick] = [slabSize(stage("x", [], [16, 8, 8]), of), slabSize(stage("x", [], [64, 8, 8]), of)];
  assert.equal(thick.thick, 2 * thin.thick);
  assert.equal(thick.h, thin.h);
  assert.ok(slabSize(stage("x", [], [16, 16, 16]), of).h > thin.h);
  assert.ok(slabSize(stage("x", [], [100]), of).h > slabSize(stage("x", [], [10]), of).h);
});

test("bands and lines begin at the one stage and end at the other", () => {
  const { places, edges } = layout(residual, { size: square });
  assert.ok(band(places.a, places.b).startsWith(`M${places.a.x + 50} ${places.a.y}`));
  const { way } = edges.find((edge) => edge.way.length);
  const path = around(places.image, places.sum, way);
  assert.ok(path.startsWith(`M${places.image.x + 50} `) && path.includes(` ${places.sum.x} `));
});

test("a picture is as large as the page allows, and scrolls only if its maps could not be clicked", () => {
  const placed = (growth, more = 0) => ({ growth, width: 1000 * growth + 4 * more });
  assert.deepEqual(fitted(499, 4, placed), placed(1)); // a phone's fingers
  assert.deepEqual(fitted(800, 4, (growth) => ({ growth, width: 1700 * growth })).growth, 0.78);
  const small = fitted(600, 4, placed);
  assert.ok(small.growth > 0.55 && small.growth < 0.6 && small.width <= 600, `${small.growth}`);
  const roomy = fitted(1450, 4, placed);
  assert.ok(roomy.growth > 1.3 && roomy.growth <= 1.35 && roomy.width <= 1450);
});

test("LeNet-5 with 16 and 48 maps fits next to the navigation in a laptop's window", () => {
  const shapes = [[1, 28, 28], [16, 28, 28], [16, 14, 14], [48, 10, 10], [48, 5, 5], [120], [84], [10]];
  const stages = shapes.map((shape, at) =>
    stage(`${at}`, at ? [`${at - 1}`] : [], shape, { shown: shape[0] === 48 ? 16 : shape[0] }));
  const plan = fitted(816, 7, (growth, more = 0) => {
    const rule = sideRule([28, 14, 10, 5], { largest: 92 * growth, smallest: 24 });
    const size = (each, lane) => (each.id === "7" ? { w: 134, h: 280 } : gridSize(each, lane, rule));
    return layout(stages, { size, height: 400 * Math.max(1, growth), gap: Math.max(18, 36 * growth) + more });
  });
  assert.ok(plan.width <= 816, `${plan.width} px`);
});
