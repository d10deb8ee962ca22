// @ts-check
// An area for pasting a picture, which is scaled down to at most LONGEST pixels and sent as a PNG.
const LONGEST = 1024; // px of the longer side

export default function ({ parentElement, setStateValue }) {
  const target = parentElement.querySelector(".paste");
  const note = target.querySelector("span");
  target.onclick = () => target.focus();
  target.onpaste = async (event) => {
    event.preventDefault();
    const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
    if (!file) {
      note.textContent = "The clipboard does not contain a picture.";
      return;
    }
    try {
      const picture = await createImageBitmap(file);
      const scale = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
      const canvas = document.createElement("canvas");
      canvas.width = Math.max(1, Math.round(picture.width * scale));
      canvas.height = Math.max(1, Math.round(picture.height * scale));
      const brush = canvas.getContext("2d");
      brush.fillStyle = "#fff";
      brush.fillRect(0, 0, canvas.width, canvas.height);
      brush.drawImage(picture, 0, 0, canvas.width, canvas.height);
      note.textContent = "Pasted. Paste again to replace it.";
      setStateValue("png", canvas.toDataURL("image/png"));
    } catch (error) {
      note.textContent = "This picture cannot be opened.";
    }
  };
}
