"""Plotly figures of run records: each module computes the numbers first, then draws them."""
