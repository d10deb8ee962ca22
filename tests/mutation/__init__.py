"""Mutation testing (`python -m tests.mutation`): each fault is put into the code to see whether a test fails."""
