// @ts-check
// Which rows of the table are seen, and in which order.

/**
 * Sorted, the table is flat; as a tree, what lies in a folded group is left out.
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
