"""Our own components (Streamlit's components v2, without a build step): one folder each, with JavaScript and CSS."""
