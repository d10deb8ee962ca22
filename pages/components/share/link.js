// @ts-check
// Checks of a link before it is shared.

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
