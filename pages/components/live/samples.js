// @ts-check
// Test images with the network's newest answers. Space for the answers is reserved, so that nothing moves.

/** Return the texts of a sample's answer. @param {[number, number] | undefined} answer class and probability
 * @param {string[]} classes @param {number} truth */
export function wordsOf(answer, classes, truth) {
  if (!answer) return { name: "–", share: 0, right: null, words: `${classes[truth]}: no answer yet` };
  const [index, share] = answer;
  const name = classes[index] ?? "?";
  const right = index === truth;
  const percent = share >= 0.995 && share < 1 ? ">99 %" : `${Math.round(100 * share)} %`;
  const wrong = right ? "" : ", which is wrong";
  return { name, share, right, words: `${classes[truth]}: read as ${name}${wrong}, ${percent}` };
}

/** @param {HTMLElement} list @param {{ classes: string[], images: { src: string, class: number }[] } | null} samples */
export function makeSamples(list, samples) {
  list.hidden = !samples;
  list.replaceChildren(...(samples?.images ?? []).map(({ src }) => {
    const item = document.createElement("li");
    const picture = document.createElement("img");
    picture.src = src;
    picture.alt = "";
    const name = document.createElement("b");
    name.textContent = "–"; // as high as an answer
    const bar = document.createElement("i");
    item.append(picture, name, bar);
    return item;
  }));
}

/** @param {HTMLElement} list @param {any} samples @param {[number, number][] | null} answers */
export function showAnswers(list, samples, answers) {
  if (!samples) return;
  samples.images.forEach(({ class: truth }, index) => {
    const { name, share, right, words } = wordsOf(answers?.[index], samples.classes, truth);
    const item = /** @type {HTMLElement} */ (list.children[index]);
    if (item.title === words) return;
    item.title = words;
    item.setAttribute("aria-label", words);
    item.dataset.right = right === null ? "" : String(right);
    /** @type {HTMLElement} */ (item.querySelector("b")).textContent = name;
    /** @type {HTMLElement} */ (item.querySelector("i")).style.setProperty("--share", share.toFixed(3));
  });
}
