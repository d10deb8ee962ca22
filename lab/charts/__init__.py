"""Records to Plotly figures, numbers first."""
