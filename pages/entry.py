"""The script that Streamlit runs at every interaction: the frame around all pages. app.py says why it lives here."""

from pages.frame import navigation

navigation()
