// @ts-check
// One listener per document: Streamlit calls this at every rerun and at a change of the theme, and may clean up while
// the script is still loading.
const OVERLAID_PX = 768; // in a narrower window, Streamlit opens the sidebar on top of the page
const COLLAPSE = '[data-testid="stSidebarCollapseButton"] button';
const close = () => /** @type {HTMLElement | null} */ (document.querySelector(COLLAPSE))?.click();

export default function ({ data, setTriggerValue }) {
  document.removeEventListener("click", document.convlabNav, true);
  document.convlabNav = (event) => {
    const modified = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    const link = event.target.closest?.('[data-testid="stSidebarNavLink"]');
    if (!link || modified) return;
    if (link.getAttribute("aria-current") === "page" && location.search) setTriggerValue("again", performance.now());
    if (innerWidth < OVERLAID_PX) setTimeout(close); // once Streamlit has processed the click
  };
  document.addEventListener("click", document.convlabNav, true);
  document.body.dataset.navigation = data.page; // the page whose link has the listener
  const dark = getComputedStyle(document.querySelector('[data-testid="stApp"]')).colorScheme === "dark";
  // Once per change.
  if (dark !== data.dark && dark !== document.convlabDark) setTriggerValue("theme", performance.now());
  document.convlabDark = dark;
}
