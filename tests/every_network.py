"""Every network of the registry as parameters of a test; the largest ones are marked as long."""

import pytest

from lab.architectures.registry import list_architectures
from tests.golden.losses import is_large

EVERY_NETWORK = [pytest.param(arch.id, marks=[pytest.mark.long] * is_large(arch.id)) for arch in list_architectures()]
