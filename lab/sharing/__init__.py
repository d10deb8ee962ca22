"""Reports, bundles and exports."""
