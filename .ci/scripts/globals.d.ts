// What the scripts of the pages and of reports find in the browser beside the DOM.

/** Plotly.js, loaded by a script element; its types are a package of 2 MB of their own. */
declare var Plotly: any;

/** An element that Plotly has drawn into. */
interface PlotElement extends HTMLDivElement {
  data?: object[];
  on(event: string, handler: (event: any) => void): void;
}

/** Kept by nav.js over its reruns. */
interface Document {
  convlabNav?: (event: any) => void;
  convlabDark?: boolean;
}
