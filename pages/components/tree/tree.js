// @ts-check
// Related runs: nested lists with a line from each run to its children.

import { made } from "../shared/dom.js";

const INDENT_REM = 1.2; // of one level, less if there are many: a phone is 22 rem wide
const WIDEST_REM = 9; // of all levels together

export default function ({ data, parentElement, setTriggerValue }) {
  const words = JSON.stringify(data);
  let tree = parentElement.querySelector(".tree");
  if (!tree) {
    tree = made("div", "tree");
    parentElement.appendChild(tree);
  }
  if (tree.dataset.words !== words) {
    tree.dataset.words = words;
    const deepest = Math.max(1, ...data.nodes.map(({ depth }) => depth));
    tree.style.setProperty("--indent", `${Math.min(INDENT_REM, WIDEST_REM / deepest)}rem`);
    tree.replaceChildren(build(data));
  }
  tree.onclick = (event) => {
    const node = event.target.closest("button[data-run]");
    if (node) setTriggerValue("open", node.dataset.run);
  };
}

// `lists` are the open lists, from the outermost to that of the previous node; a node is added to the one of its depth.
function build({ nodes, name }) {
  const lists = [made("ul")];
  lists[0].setAttribute("aria-label", name);
  for (const node of nodes) {
    lists.length = Math.min(lists.length, node.depth + 1);
    if (lists.length <= node.depth) lists.push(lists.at(-1).lastElementChild.appendChild(made("ul")));
    lists.at(-1).appendChild(item(node));
  }
  return lists[0];
}

function item({ run, title, change, result, difference, here }) {
  const entry = made("li");
  const button = made("button");
  button.type = "button";
  button.dataset.run = run;
  if (here) button.setAttribute("aria-current", "true");
  const kind = difference.startsWith("+") ? "better" : difference.startsWith("\u2212") ? "worse" : "";
  const parts = [["change", change], ["title", title], ["result", result], [`difference ${kind}`, difference]];
  for (const [name, text] of parts) {
    if (text) button.append(made("span", name, text), " ");
  }
  entry.append(button);
  return entry;
}
