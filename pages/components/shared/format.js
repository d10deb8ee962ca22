// @ts-check
// Formatting of numbers and text, and a check of colours.

/** Return a number with commas, or a dash if there is none. @param {number | null | undefined} value */
export function number(value) {
  return value == null ? "–" : value.toLocaleString("en-GB");
}

/** Return a text with no-break spaces before the signs for per cent. @param {string} text */
export function unbroken(text) {
  return text.replaceAll(" %", "\u00a0%");
}

/** Return a text escaped for SVG. @param {string} text */
export function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"); // "<0.01 %"
}

/** Whether a colour such as #10151c is dark; an invalid one counts as white. @param {string} colour */
export function isDark(colour) {
  const [r, g, b] = (colour.match(/[\da-f]{2}/gi) ?? ["ff", "ff", "ff"]).map((part) => parseInt(part, 16));
  return 0.3 * r + 0.6 * g + 0.1 * b < 128;
}
