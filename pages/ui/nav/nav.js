// Streamlit keeps the query string when the link of the page one is on is clicked, so "Train" did nothing on a run's page.
// One listener a document: Streamlit calls this again at every rerun, and may clean up while the script still loads.
export default function ({ setTriggerValue }) {
  document.removeEventListener("click", document.convlabNav, true);
  document.convlabNav = (event) => {
    const modified = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    const link = event.target.closest?.('[data-testid="stSidebarNavLink"][aria-current="page"]');
    if (link && location.search && !modified) setTriggerValue("again", performance.now());
  };
  document.addEventListener("click", document.convlabNav, true);
}
