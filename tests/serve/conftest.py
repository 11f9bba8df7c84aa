from collections.abc import Iterator

import pytest

from tests.serve.running import RunningServer, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of the embedded model, shared by the tests of a file."""
    with running(log=tmp_path_factory.mktemp("server") / "log") as server:
        yield server
