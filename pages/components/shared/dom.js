// @ts-check
// Creation of elements.

// Return a new element with these classes and this text.
export function made(kind, classes = "", text = "") {
  const element = document.createElement(kind);
  if (classes) element.className = classes;
  if (text) element.textContent = text;
  return element;
}
