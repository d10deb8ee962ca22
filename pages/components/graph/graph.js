// @ts-check
// The network's graph: SVG written by lab.inspection.layout, which escapes every text. A box has its module's name.

import { made } from "../shared/dom.js";

export default function ({ data, parentElement, setTriggerValue }) {
  let view = parentElement.querySelector(".view");
  if (!view) {
    view = made("div", "view");
    parentElement.appendChild(view);
  }
  if (view.dataset.svg !== data.digest) {
    const place = [view.scrollLeft, view.scrollTop];
    const wide = view.scrollWidth;
    const held = view.getRootNode().activeElement?.dataset.name;
    view.innerHTML = data.svg;
    view.dataset.svg = data.digest;
    const picture = view.querySelector("svg");
    picture.style.setProperty("--own", `${picture.getAttribute("width")}px`);
    // An expanded block makes the graph wider on both sides; keep the centre in place.
    [view.scrollLeft, view.scrollTop] = view.dataset.network === data.network
      ? [place[0] + (view.scrollWidth - wide) / 2, place[1]]
      : [(view.scrollWidth - view.clientWidth) / 2, data.end ? view.scrollHeight : 0];
    view.dataset.network = data.network;
    if (held) focusOn(held, view);
  }
  const report = (target) => {
    const box = target.closest(".box");
    if (box) setTriggerValue("pick", box.dataset.name);
  };
  view.onclick = (event) => report(event.target);
  view.onkeydown = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    report(event.target);
  };
}

// Focus the chosen box or, if it was expanded, its first layer.
function focusOn(name, view) {
  const boxes = [...view.querySelectorAll(".box")];
  const box = boxes.find((one) => one.dataset.name === name)
    ?? boxes.find((one) => one.dataset.name.startsWith(`${name}.`));
  box?.focus({ preventScroll: true });
}
