// @ts-check
// A grid of small pictures cut from one PNG; each is a button, or a plain tile if it cannot be clicked.
// Existing tiles are updated in place, so that a new epoch does not make the page jump. Tab focuses the chosen button, the
// arrow keys move to the others.

import { made } from "../shared/dom.js";
import { rove } from "../shared/roving.js";

export default function ({ data, parentElement, setTriggerValue }) {
  let grid = parentElement.querySelector(".tiles");
  const kind = data.clickable ? "button" : "div";
  if (!grid || grid.dataset.kind !== kind) {
    grid?.remove();
    grid = made("div", "tiles");
    grid.dataset.kind = kind;
    parentElement.appendChild(grid);
  }
  const width = (data.height * data.tile_width) / data.tile_height;
  grid.classList.toggle("row", Boolean(data.row));
  grid.setAttribute("role", "group");
  grid.setAttribute("aria-label", data.name);
  grid.style.setProperty("--sprite", `url(${data.sprite})`); // once: it is long, and there are up to 60 tiles
  grid.style.setProperty("--w", `${width}px`);
  grid.style.setProperty("--h", `${data.height}px`);
  grid.style.setProperty("--cell", `${Math.max(width + 8, data.cell)}px`);
  while (grid.children.length > data.tiles.length) grid.lastChild.remove();
  while (grid.children.length < data.tiles.length) grid.appendChild(build(kind));
  data.tiles.forEach((tile, index) => fill(grid.children[index], tile, index, data, width));
  if (data.clickable) rove(grid, [...grid.children], data.selected ?? 0);
  if (data.row && grid.dataset.shown !== data.selected + data.sprite.slice(-40)) {
    grid.dataset.shown = data.selected + data.sprite.slice(-40);
    const chosen = grid.children[data.selected];
    if (chosen) grid.scrollLeft = chosen.offsetLeft - (grid.clientWidth - chosen.offsetWidth) / 2;
  }
  grid.onclick = (event) => {
    const tile = event.target.closest("button.tile");
    if (tile) setTriggerValue("pick", Number(tile.dataset.index));
  };
}

function build(kind) {
  const tile = made(kind, "tile");
  for (const part of ["pic", "one", "two"]) tile.append(made("span", part), " "); // separates lines in the text content
  if (kind === "button") tile.type = "button";
  return tile;
}

function fill(node, tile, index, data, width) {
  const [picture, one, two] = node.children;
  const [row, column] = [Math.floor(index / data.columns), index % data.columns];
  node.dataset.index = index;
  node.classList.toggle("bad", Boolean(tile.bad));
  picture.style.backgroundSize = `${data.columns * width}px auto`;
  picture.style.backgroundPosition = `${-column * width}px ${-row * data.height}px`;
  one.textContent = tile.one ?? "";
  two.textContent = tile.two ?? "";
  one.hidden = !tile.one;
  two.hidden = !tile.two;
  const seen = [tile.one, tile.two].filter(Boolean).join(" "); // for speech input: the name contains the visible text
  node.setAttribute("aria-label", [seen, tile.label].filter(Boolean).join(", "));
  if (node.tagName === "BUTTON") node.setAttribute("aria-pressed", String(index === data.selected));
  else node.setAttribute("role", "img");
}
