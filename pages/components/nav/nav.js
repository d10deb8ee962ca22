// @ts-check
// One listener per document: Streamlit calls this at every rerun and at a change of the theme, and may clean up while
// the script is still loading.
export default function ({ data, setTriggerValue }) {
  document.removeEventListener("click", document.convlabNav, true);
  document.convlabNav = (event) => {
    const modified = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    const link = event.target.closest?.('[data-testid="stSidebarNavLink"][aria-current="page"]');
    if (link && location.search && !modified) setTriggerValue("again", performance.now());
  };
  document.addEventListener("click", document.convlabNav, true);
  document.body.dataset.navigation = data.page; // the page whose link has the listener
  const dark = getComputedStyle(document.querySelector('[data-testid="stApp"]')).colorScheme === "dark";
  // Once per change.
  if (dark !== data.dark && dark !== document.convlabDark) setTriggerValue("theme", performance.now());
  document.convlabDark = dark;
}
