"""Runs as one HTML file that works offline: `gather` collects the content, `page` renders it."""
