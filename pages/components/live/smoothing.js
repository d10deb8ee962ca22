// @ts-check
// The smoothed line, as lab/charts/smoothing.py defines it; tests/cases/smoothing.json holds both to the same answers.

// The mean of a series' bucket means (null: no finite value) over about `span` steps around each; a bucket of `width`
// steps counts as that many. It does not lag behind, as a running mean would, which makes training look worse than
// validation while both improve. The window shrinks towards the start, and towards the newest point to a quarter. Each
// window is summed by itself: differences of running sums would drown small values after a huge one.
export function smoothedMeans(means, width, span) {
  const half = Math.floor(Math.floor(span / width) / 2);
  if (half < 1) return means.slice();
  const last = means.length - 1;
  return means.map((value, index) => {
    if (value === null) return null;
    const right = Math.min(half, index, last - index);
    const left = Math.min(index, Math.max(right, half >> 2));
    let sum = 0, count = 0;
    for (let at = index - left; at <= index + right; at += 1) {
      if (means[at] !== null) { sum += means[at]; count += 1; }
    }
    return sum / count;
  });
}
