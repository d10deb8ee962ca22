// @ts-check
// Which rows of the table are shown, and in which order.

/**
 * Return the rows to show: the sorted layers without groups, or the tree without the contents of folded groups.
 * @param {{ sort: string | null, down: boolean, folded: Set<string> }} table
 * @param {{ rows: any[] }} data
 */
export function shown(table, { rows }) {
  if (table.sort) {
    const value = (row) => (table.sort === "shape" ? row.size : row[table.sort]) ?? -1;
    const order = (a, b) => (typeof value(a) === "string" ? value(a).localeCompare(value(b)) : value(a) - value(b));
    return rows.filter((row) => row.leaf).sort((a, b) => (table.down ? -1 : 1) * order(a, b));
  }
  let below = Infinity;
  return rows.filter((row) => {
    if (row.depth > below) return false;
    below = !row.leaf && table.folded.has(row.name) ? row.depth : Infinity;
    return true;
  });
}
