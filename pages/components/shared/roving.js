// @ts-check
// Buttons in rows with one stop for the Tab key; the arrow keys, Home and End move between them.

const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

/**
 * Let Tab focus only the button `at`, and the keys move from it. A button that has the focus keeps it.
 * @param {HTMLElement} root of all buttons @param {HTMLElement[]} buttons @param {number} at
 */
export function rove(root, buttons, at) {
  const focused = buttons.findIndex((button) => button.matches(":focus"));
  const stop = focused < 0 ? at : focused;
  for (const [index, button] of buttons.entries()) button.tabIndex = index === stop ? 0 : -1;
  root.onkeydown = (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    const index = button ? buttons.indexOf(button) : -1;
    if (index < 0 || !KEYS.includes(event.key)) return;
    event.preventDefault();
    const to = buttons[neighbour(event.key, index, buttons.map((one) => one.getBoundingClientRect()))];
    for (const one of buttons) one.tabIndex = one === to ? 0 : -1;
    to.focus();
  };
}

/**
 * Return the index that an arrow key moves to: the next one, or the nearest one in the row above or below.
 * @param {string} key @param {number} index @param {{ left: number, top: number }[]} places of all buttons, in px
 */
export function neighbour(key, index, places) {
  if (key === "Home") return 0;
  if (key === "End") return places.length - 1;
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
