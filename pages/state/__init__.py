"""The state of pages: one typed record per page, kept in the session and partly in the address."""
