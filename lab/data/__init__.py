"""Data sets: read, fetched and normalised.

Reading is NumPy only; torch appears in `lab.data.resident`, which is imported by name.
"""

from lab.data.fetch import fetch_dataset
from lab.data.load import Dataset, dataset_checksum, is_present, load_dataset, normalization_constants
from lab.data.registry import DatasetSpec, get_dataset_spec, list_datasets

__all__ = [
    "Dataset",
    "DatasetSpec",
    "dataset_checksum",
    "fetch_dataset",
    "get_dataset_spec",
    "is_present",
    "list_datasets",
    "load_dataset",
    "normalization_constants",
]
