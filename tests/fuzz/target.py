"""What is fuzzed: a decoder, valid bytes for it, and what must hold for whatever it is fed.

The suite runs a small fixed slice of each target and every file of the corpus; `python -m tests.fuzz` runs them for
longer, from other seeds each time, and keeps what breaks one as a file of the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

from tests.fuzz.mutation import spoilt

CORPUS = Path(__file__).parent / "corpus"
DATABASE = Path(__file__).parents[2] / ".cache" / "fuzz"


@dataclass(frozen=True)
class Target:
    """`check` raises for nothing but a broken promise."""

    name: str
    shape: str
    """protobuf, json, text or bytes."""
    seeds: Callable[[], Sequence[bytes]]
    check: Callable[[bytes], None]
    examples: int = 60
    """In the suite's slice."""

    @property
    def folder(self) -> Path:
        return CORPUS / self.name

    def kept(self) -> list[Path]:
        """Files of the corpus: seeds, and inputs that once broke something."""
        return sorted(self.folder.glob("*")) if self.folder.is_dir() else []

    def all_seeds(self) -> list[bytes]:
        return [*self.seeds(), *(path.read_bytes() for path in self.kept())]

    def replay(self) -> None:
        """Every seed and every kept file."""
        for raw in self.all_seeds():
            self.check(raw)

    def slice(self) -> None:
        """The same few inputs in every run."""
        self.replay()
        self._run(settings(derandomize=True, database=None, max_examples=self.examples, **_SHARED))

    def search(self, examples: int) -> None:
        """New inputs in every run; what failed before comes first."""
        database: ExampleDatabase = DirectoryBasedExampleDatabase(DATABASE)
        self._run(settings(database=database, max_examples=examples, print_blob=True, **_SHARED))

    def _run(self, how: settings) -> None:
        @how
        @given(spoilt(self.all_seeds(), self.shape))
        def check_one(raw: bytes) -> None:
            self._check_and_note(raw)

        check_one.hypothesis.inner_test.__qualname__ = f"check_{self.name}"  # type: ignore[attr-defined]
        check_one()

    def _check_and_note(self, raw: bytes) -> None:
        try:
            self.check(raw)
        except Exception as error:
            error.add_note(f"target {self.name}, input {raw[:200].hex()}{'...' if len(raw) > 200 else ''}")
            FAILED[self.name] = raw
            raise


FAILED: dict[str, bytes] = {}
"""The last failing input of each target; after Hypothesis has shrunk it, the smallest."""
_SHARED = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
}
