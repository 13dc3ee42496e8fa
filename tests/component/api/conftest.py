import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """node_api runs on uvloop; so do its tests."""
    return ("asyncio", {"use_uvloop": True})
