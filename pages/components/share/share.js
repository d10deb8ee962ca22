// @ts-check
// The link to the current view, to copy or to scan as a QR code, and the HTML to embed it. In a frame: a link out of it.
import { mount } from "../shared/mount.js";
import { frameCode, onlyHere, unembedded, warning } from "./link.js";

/** @param {string} text of a command */
function codeOf(text) {
  const code = document.createElement("code");
  code.textContent = text;
  return code;
}

class Share {
  constructor(place) {
    this.place = place;
    this.find = (/** @type {string} */ selector) => place.querySelector(selector);
    this.find(".open").onclick = () => this.show(this.find(".panel").hidden);
    this.find(".out").onclick = () => { this.find(".out").href = unembedded(location.href); };
    for (const line of place.querySelectorAll(".line")) {
      line.querySelector("button").onclick = () => this.copy(line);
      line.querySelector("input").onfocus = (event) => event.target.select();
    }
    this.find(".panel").onkeydown = (event) => {
      if (event.key === "Escape") this.close();
    };
    this.outside = (event) => event.composedPath().includes(place) || this.show(false);
    document.addEventListener("pointerdown", this.outside);
  }

  refresh(data) {
    this.data = data;
    this.find(".out").hidden = !data.embedded;
    this.find(".out").href = unembedded(location.href);
    this.find(".open").hidden = data.embedded;
    this.find(".embed").hidden = !data.embeds;
    if (!this.find(".panel").hidden && this.find("#share-address").value !== location.href) this.fill();
  }

  dispose() {
    document.removeEventListener("pointerdown", this.outside);
  }

  show(open) {
    this.find(".panel").hidden = !open;
    this.find(".open").setAttribute("aria-expanded", String(open));
    if (open) {
      this.fill();
      this.find("input").focus();
    }
  }

  close() {
    this.show(false);
    this.find(".open").focus();
  }

  fill() {
    const address = location.href;
    this.find("#share-address").value = address;
    this.find("#share-frame").value = frameCode(address);
    const note = warning(address, this.data.most);
    const code = this.find("img");
    code.hidden = address.length > this.data.most || onlyHere(location.hostname);
    if (!code.hidden) code.src = `${this.data.qr}?text=${encodeURIComponent(address)}`;
    this.find(".note").replaceChildren(...note.split("`").map((part, at) => at % 2 ? codeOf(part) : part));
    for (const button of this.place.querySelectorAll(".copy")) button.textContent = "Copy";
  }

  async copy(line) {
    const field = line.querySelector("input");
    try {
      await navigator.clipboard.writeText(field.value);
    } catch { // without HTTPS, on a network address, pages have no access to the clipboard
      field.select();
      document.execCommand("copy");
    }
    line.querySelector("button").textContent = "Copied";
  }
}

export default mount((place) => new Share(place));
