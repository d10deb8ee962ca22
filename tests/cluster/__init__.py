"""Tests with several real machines: namespaces, servers and clusters that the tests start themselves."""
