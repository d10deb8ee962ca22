// @ts-check
// Cards by group, and navigation with the arrow keys.

/**
 * Collect consecutive cards of the same group. @template {{ group: string }} C @param {C[]} cards
 * @returns {{ group: string, cards: C[] }[]}
 */
export function grouped(cards) {
  /** @type {{ group: string, cards: C[] }[]} */
  const groups = [];
  for (const card of cards) {
    if (groups.at(-1)?.group !== card.group) groups.push({ group: card.group, cards: [] });
    /** @type {{ cards: C[] }} */ (groups.at(-1)).cards.push(card);
  }
  return groups;
}

/**
 * Return the index that an arrow key moves to: the next one, or the nearest one in the row above or below.
 * @param {string} key @param {number} index @param {{ left: number, top: number }[]} places of all cards, in px
 */
export function neighbour(key, index, places) {
  if (key === "ArrowLeft") return Math.max(0, index - 1);
  if (key === "ArrowRight") return Math.min(places.length - 1, index + 1);
  const { left, top } = places[index];
  const down = key === "ArrowDown";
  const rows = places.map((place) => place.top).filter((other) => (down ? other > top + 1 : other < top - 1));
  if (!rows.length) return index;
  const row = down ? Math.min(...rows) : Math.max(...rows);
  let nearest = index;
  for (const [at, place] of places.entries()) {
    if (Math.abs(place.top - row) > 1) continue;
    if (nearest === index || Math.abs(place.left - left) < Math.abs(places[nearest].left - left)) nearest = at;
  }
  return nearest;
}
