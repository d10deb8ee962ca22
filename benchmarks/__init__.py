"""Measurements: each module prints ratios with n and spread; none is a test."""
