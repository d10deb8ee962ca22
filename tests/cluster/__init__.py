"""Several machines, for real: namespaces, servers and clusters that the tests start themselves."""
