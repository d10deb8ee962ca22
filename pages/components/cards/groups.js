// @ts-check
// Cards by group.

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
