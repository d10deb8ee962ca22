// Globals in the browser, in addition to the DOM, that the scripts of pages and reports use.

/** Plotly.js, loaded by a script element; its type declarations would be another package of 2 MB. */
declare var Plotly: any;

/** An element with a Plotly figure. */
interface PlotElement extends HTMLDivElement {
  data?: object[];
  on(event: string, handler: (event: any) => void): void;
}

/** State that nav.js keeps between its reruns. */
interface Document {
  convlabNav?: (event: any) => void;
  convlabDark?: boolean;
}
