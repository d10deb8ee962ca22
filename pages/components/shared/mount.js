// @ts-check
// The life cycle of components that keep state over reruns: one view for each place on the page.

/**
 * A view. `connect` gets the functions that report to the server, which differ at each call; `refresh` gets the newest
 * data, at every rerun and change of the theme; `dispose` ends the view. `serves` says whether it can show given data.
 * @typedef {{ connect?: (report: any) => void, refresh: (data: any) => unknown, dispose: () => void,
 *   serves?: (data: any) => boolean }} View
 */

/**
 * Return the function that Streamlit calls. It creates a view at the first call and keeps it until its element is
 * removed from the page.
 * @param {(place: HTMLElement, data: any) => View} create
 */
export function mount(create) {
  /** @type {WeakMap<HTMLElement, View>} */
  const views = new WeakMap();
  /** @param {{ data: any, parentElement: HTMLElement, setStateValue?: any, setTriggerValue?: any }} call */
  return function ({ data, parentElement, ...report }) {
    let view = views.get(parentElement);
    if (view?.serves?.(data) === false) {
      view.dispose();
      view = undefined;
    }
    if (!view) views.set(parentElement, (view = create(parentElement, data)));
    view.connect?.(report);
    view.refresh(data);
    return () => {
      if (parentElement.isConnected) return; // Streamlit also cleans up after a call that was superseded by newer data
      views.get(parentElement)?.dispose();
      views.delete(parentElement);
    };
  };
}
