"""What answers beside Streamlit: HTTP routes, access, security headers, sessions."""
