// @ts-check
// What can be said of a link before it is passed on.

/**
 * Whether a host's name means the computer one sits at, so that nobody else can open the link.
 * @param {string} host
 */
export function onlyHere(host) {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127\./.test(host);
}

/**
 * Return what keeps a link from being opened or scanned elsewhere, "" where nothing does.
 * @param {string} address
 * @param {number} most characters of a QR code
 */
export function warning(address, most) {
  if (onlyHere(new URL(address).hostname)) {
    return "This address works on this computer only. Others can open the lab if it is started with: python -m lab serve --host 0.0.0.0";
  }
  return address.length > most ? "The link is too long for a QR code: copy it." : "";
}
