// @ts-check
// The summary as a tree: groups fold, headers sort (a sorted table is flat; a third click restores the tree).

import { made } from "../shared/dom.js";
import { shown } from "./rows.js";

const COLUMNS = [
  ["name", "Layer", ""], ["shape", "Output", ""],
  ["params", "Parameters", "r"], ["param_share", "Share of\nparameters", ""],
  ["mult_adds", "Mult-adds", "r"], ["work_share", "Share of\nmult-adds", ""], ["bytes", "Memory", "r"],
  ["field", "Receptive\nfield", "r"], ["step", "Stride", "r"],
];
const tables = new WeakMap();

export default function ({ data, parentElement }) {
  let table = tables.get(parentElement);
  if (!table || table.network !== data.network) {
    const folded = new Set(data.folded);
    table = { network: data.network, folded, sort: null, down: true };
    tables.set(parentElement, table);
  }
  const selected = (data.selected ?? []).join("\n");
  const moved = selected && table.selected !== selected;
  table.selected = selected;
  draw(parentElement, table, data);
  if (moved) parentElement.querySelector("tr.chosen")?.scrollIntoView({ block: "nearest" });
}

function draw(root, table, data) {
  let wrap = root.querySelector(".wrap");
  if (!wrap) {
    wrap = document.createElement("div");
    wrap.className = "wrap";
    wrap.tabIndex = 0;
    wrap.setAttribute("role", "region");
    wrap.setAttribute("aria-label", "Layers of the network");
    root.appendChild(wrap);
  }
  const held = root.getRootNode().activeElement?.dataset.key; // the focused button is created again, too
  const sheet = document.createElement("table");
  const head = sheet.createTHead().insertRow();
  for (const [key, label, kind] of COLUMNS) {
    const cell = document.createElement("th");
    cell.className = kind;
    cell.scope = "col";
    const sorted = table.sort === key;
    cell.setAttribute("aria-sort", sorted ? (table.down ? "descending" : "ascending") : "none");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label + (sorted ? (table.down ? " ▾" : " ▴") : "");
    button.dataset.key = `sort ${key}`;
    button.onclick = () => {
      if (!sorted) [table.sort, table.down] = [key, key !== "name"];
      else if (table.down === (key !== "name")) table.down = !table.down;
      else table.sort = null;
      draw(root, table, data);
    };
    cell.appendChild(button);
    head.appendChild(cell);
  }
  const body = sheet.createTBody();
  for (const row of shown(table, data)) body.appendChild(line(row, root, table, data));
  wrap.replaceChildren(sheet);
  if (!held) return;
  const focused = [...wrap.querySelectorAll("[data-key]")].find((button) => button.dataset.key === held);
  focused?.focus({ preventScroll: true });
}

function line(row, root, table, data) {
  const tr = document.createElement("tr");
  if (!row.leaf) tr.classList.add("group");
  if (data.selected && data.selected.includes(row.name)) tr.classList.add("chosen");
  const name = tr.insertCell();
  name.style.paddingLeft = `${0.4 + (table.sort ? 0 : row.depth) * 1.1}rem`;
  const fold = made(row.leaf ? "span" : "button", "fold");
  if (!row.leaf && !table.sort) {
    const closed = table.folded.has(row.name);
    fold.setAttribute("type", "button");
    fold.dataset.key = `fold ${row.name}`;
    fold.textContent = closed ? "▸" : "▾";
    fold.setAttribute("aria-expanded", String(!closed));
    fold.setAttribute("aria-label", `${closed ? "Open" : "Close"} ${row.name}`);
    fold.onclick = () => {
      if (!table.folded.delete(row.name)) table.folded.add(row.name);
      draw(root, table, data);
    };
  }
  name.append(fold, table.sort ? row.name : row.short, made("span", "type", ` ${row.type}`));
  const put = (text, kind = "") => {
    const cell = tr.insertCell();
    cell.className = kind;
    cell.textContent = text;
    return cell;
  };
  put(row.shape, "num");
  put(row.params_text, "r num");
  bar(put(""), row.param_share, row.param_share_text, "");
  put(row.mult_adds_text, "r num");
  bar(put(""), row.work_share, row.work_share_text, "work");
  put(row.bytes_text, "r num");
  put(row.field == null ? "" : `${row.field}×${row.field}`, "r num");
  put(row.step ?? "", "r num");
  return tr;
}

function bar(cell, share, words, kind) {
  if (!share) return;
  const track = made("span", `share ${kind}`);
  const fill = made("i");
  fill.style.width = `${100 * share}%`;
  track.appendChild(fill);
  cell.append(track, made("span", "pct num", words));
}
