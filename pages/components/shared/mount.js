// @ts-check
// The life of a component that keeps something over reruns: a view for each place on the page.

/**
 * A view: `connect` takes the functions that report to the server, which are others at each call; `refresh` the newest
 * data, at every rerun and change of the theme; `dispose` ends it. `serves` says whether it can show other data at all.
 * @typedef {{ connect?: (report: any) => void, refresh: (data: any) => unknown, dispose: () => void,
 *   serves?: (data: any) => boolean }} View
 */

/**
 * Return what Streamlit calls: it makes a view at the first call and keeps it until its place is taken from the page.
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
      if (parentElement.isConnected) return; // Streamlit also cleans up after a call that newer data overtook
      views.get(parentElement)?.dispose();
      views.delete(parentElement);
    };
  };
}
