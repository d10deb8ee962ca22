// @ts-check
// The smoothed line, as defined in lab/charts/smoothing.py; tests/cases/smoothing.json checks both implementations.

// The mean of a series' bucket means (null: no finite value) over about `span` steps around each; a bucket has `width`
// steps. Unlike a running mean, it does not lag behind, which would make training look worse than validation while both
// improve. The window shrinks towards the start, and to a quarter towards the newest point. Each window is summed
// separately: differences of running sums would lose small values after a huge one.
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
