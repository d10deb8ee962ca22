"""All Streamlit glue of the lab: the pages are made of these parts, and nothing below `pages/` knows Streamlit."""
