"""What Streamlit runs at every interaction: the frame around all pages. It lives beside them on purpose (see app.py)."""

from pages.frame import navigation

navigation()
