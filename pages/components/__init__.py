"""Components of our own (Streamlit's v2, no build): one folder each with its JavaScript and CSS."""
