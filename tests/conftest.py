"""What all tests share; nothing here is imported where it is not asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """Models this small would only wait for torch's threads to meet."""
    import torch  # tests/runtime runs without it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
