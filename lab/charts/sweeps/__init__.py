"""Figures of a sweep: learning curves with rungs, parallel coordinates, importance, slices, contours, best so far.

Each is made from frozen trials (`lab.sweeps.records`) alone: numbers first (`*_info`), then the Plotly figure.
"""
