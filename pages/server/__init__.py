"""The server parts next to Streamlit: HTTP routes, access control, security headers, sessions."""
