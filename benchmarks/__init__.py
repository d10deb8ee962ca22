"""Benchmarks: each module prints its measurements with n and spread. They are not tests."""
