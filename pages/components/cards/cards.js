// @ts-check
// Cards to choose from: buttons with a picture, a title and facts, below the headings of their groups. Tab focuses the
// chosen one, the arrow keys move to the others.

import { made } from "../shared/dom.js";
import { rove } from "../shared/roving.js";
import { grouped } from "./groups.js";

export default function ({ data, parentElement, setTriggerValue }) {
  const words = JSON.stringify(data.cards);
  let root = parentElement.querySelector(".cards");
  if (!root) {
    root = made("div", "cards");
    parentElement.appendChild(root);
  }
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", data.name);
  if (root.dataset.words !== words) {
    root.dataset.words = words;
    root.replaceChildren(...grouped(data.cards).flatMap(section));
  }
  const buttons = [...root.querySelectorAll("button")];
  const at = Math.max(0, data.cards.findIndex(({ id }) => id === data.chosen));
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.id === data.chosen));
  rove(root, buttons, at);
  if (root.dataset.chosen !== String(data.chosen)) {
    root.dataset.chosen = String(data.chosen);
    buttons[at]?.scrollIntoView({ block: "nearest" });
  }
  root.onclick = (event) => {
    const card = event.target.closest("button");
    if (card) setTriggerValue("pick", card.dataset.id);
  };
}

function section({ group, cards }) {
  const grid = made("div", "grid");
  grid.append(...cards.map(card));
  if (!group) return [grid];
  const heading = made("div", "group", group);
  grid.setAttribute("role", "group");
  grid.setAttribute("aria-label", group);
  return [heading, grid];
}

function card({ id, title, picture, one, two }) {
  const button = made("button");
  button.type = "button";
  button.dataset.id = id;
  const frame = made("span", "picture");
  if (picture) {
    const image = made("img");
    image.src = picture;
    image.alt = "";
    frame.append(image);
  }
  const facts = [made("span", "facts", one), " ", made("span", "facts", two)];
  button.append(frame, made("span", "title", title), " ", ...facts);
  return button;
}
