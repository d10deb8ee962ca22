// @ts-check
// The link to share, its form for other sites, and checks of it.

/**
 * Whether a host name means this computer itself, so that nobody else can open the link.
 * @param {string} host
 */
export function onlyHere(host) {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127\./.test(host);
}

/**
 * Return what prevents a link from being opened or scanned elsewhere, "" if nothing does. Commands are in backticks.
 * @param {string} address
 * @param {number} most characters of a QR code
 */
export function warning(address, most) {
  if (onlyHere(new URL(address).hostname)) {
    return "This address works on this computer only. To let others open the lab, start it with: "
      + "`python -m lab serve --host 0.0.0.0`";
  }
  return address.length > most ? "The link is too long for a QR code. Copy it instead." : "";
}

/**
 * Return the address without Streamlit's parameters for an embedded page.
 * @param {string} address
 */
export function unembedded(address) {
  const url = new URL(address);
  for (const name of ["embed", "embed_options"]) url.searchParams.delete(name);
  return url.href;
}

/**
 * Return the HTML with which another site shows the view in a frame, without navigation and header.
 * @param {string} address
 */
export function frameCode(address) {
  const url = new URL(unembedded(address));
  url.searchParams.set("embed", "true");
  const source = url.href.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  return `<iframe src="${source}" title="ConvLab" width="100%" height="800" style="border: 0"></iframe>`;
}
