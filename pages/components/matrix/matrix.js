// @ts-check
// A confusion matrix whose cells are buttons: rows are true classes, columns are predicted ones.
// The diagonal is blue by recall; mistakes are orange, scaled to the most frequent one. Numbers are always shown.
// Tab reaches one cell, which the arrow keys change: 62 classes have 3,844 cells.

import { after } from "./keys.js";

const [FITTED, MIN_CELL, GAP] = [12, 28, 2]; // classes; px

export default function ({ data, parentElement, setTriggerValue }) {
  const count = data.classes.length;
  const names = data.classes.join("\n");
  let table = parentElement.querySelector("table");
  if (!table || table.dataset.names !== names) {
    parentElement.querySelector(".wrap")?.remove();
    const wrap = document.createElement("div");
    wrap.className = "wrap";
    wrap.appendChild((table = build(data.classes)));
    parentElement.appendChild(wrap);
  }
  const room = count <= 10 ? 40 : count <= 30 ? 30 : 18;
  const small = window.innerWidth < 640;
  table.style.setProperty("--side", `${sideOf(table, count, small ? Math.min(room, 31) : room)}px`);
  table.style.setProperty("--font", `${count <= 10 && !small ? 0.85 : count <= 30 ? 0.72 : 0.5}rem`);
  table.caption.textContent = data.caption;
  table.caption.style.captionSide = count > FITTED ? "top" : ""; // below 62 classes, it would be out of view
  const worst = Math.max(1e-9, ...data.rates.flatMap((row, t) => row.filter((_, a) => a !== t).map((r) => r ?? 0)));
  for (const cell of table.querySelectorAll("td button")) paint(cell, data, worst);
  table.onclick = (event) => {
    const cell = event.target.closest("td button");
    if (!cell) return;
    moveTo(table, cell);
    setTriggerValue("pick", placeOf(cell));
  };
  table.onkeydown = (event) => {
    const place = event.target.closest("td button") && after(placeOf(event.target), event.key, count);
    if (!place || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault(); // or the page scrolls
    const cell = table.tBodies[0].rows[place[0]].cells[place[1] + 1].firstChild; // after the header of its row
    moveTo(table, cell);
    cell.focus();
  };
}

/** @returns {[number, number]} its row and column */
function placeOf(cell) {
  return [Number(cell.dataset.truth), Number(cell.dataset.answer)];
}

// Make a cell the one that Tab reaches.
function moveTo(table, cell) {
  for (const before of table.querySelectorAll('td button[tabindex="0"]')) before.tabIndex = -1;
  cell.tabIndex = 0;
}

// The side of a cell in px: with few classes, the matrix fits next to the gallery as long as its cells can be clicked.
function sideOf(table, count, room) {
  const there = table.parentElement.clientWidth;
  if (!there || count > FITTED) return room;
  const names = table.tBodies[0].rows[0].cells[0].offsetWidth;
  return Math.max(MIN_CELL, Math.min(room, Math.floor((there - names - GAP) / count) - GAP));
}

function build(classes) {
  const table = document.createElement("table");
  table.dataset.names = classes.join("\n");
  table.setAttribute("role", "grid"); // cells are reached with arrow keys
  table.createCaption();
  const head = table.createTHead().insertRow();
  head.appendChild(document.createElement("td"));
  for (const name of classes) head.appendChild(header(name, "col"));
  const body = table.createTBody();
  classes.forEach((name, truth) => {
    const row = body.insertRow();
    row.appendChild(header(name, "row"));
    classes.forEach((_, answer) => {
      const button = document.createElement("button");
      button.type = "button";
      button.tabIndex = truth || answer ? -1 : 0;
      button.dataset.truth = truth;
      button.dataset.answer = answer;
      row.insertCell().appendChild(button);
    });
  });
  return table;
}

function header(name, scope) {
  const cell = document.createElement("th");
  cell.scope = scope;
  cell.textContent = name;
  cell.title = name;
  return cell;
}

function paint(cell, data, worst) {
  const [truth, answer] = placeOf(cell);
  const number = data.counts[truth][answer];
  const rate = data.rates[truth][answer] ?? 0;
  const right = truth === answer;
  const share = right ? 12 + 58 * rate : number ? 14 + 46 * (rate / worst) : 0; // with more, light text is hard to read
  const percent = data.rate_texts?.[truth][answer] ?? "";
  cell.style.background = number
    ? `color-mix(in srgb, ${right ? "#3b8fd4" : "#e0861a"} ${share.toFixed(0)}%, var(--st-background-color))`
    : "var(--st-secondary-background-color)";
  cell.textContent = number ? (data.as_rates ? percent.replace(" %", "") : number) : "";
  const chosen = data.chosen && data.chosen[0] === truth && data.chosen[1] === answer;
  cell.setAttribute("aria-pressed", String(Boolean(chosen)));
  const images = `${number} ${number === 1 ? "image" : "images"}`;
  cell.setAttribute("aria-label",
    `truth ${data.classes[truth]}, answered ${data.classes[answer]}: ${images}, ${percent}`);
}
