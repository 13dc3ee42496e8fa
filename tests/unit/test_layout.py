"""Rules of the code's shape that no linter knows: lengths, words, what lies where."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "authnet",
    "authnet_client",
    "authnet_core",
    "authnet_runtime",
    "abci_app",
    "p2p_dkg",
    "epoch_manager",
    "node_api",
    "localnet",
)
FILE_LIMIT, FUNCTION_LIMIT, FUNCTION_P90 = 400, 60, 30
WORDS = {"util", "utils", "common", "helper", "helpers", "base", "data", "info", "manager"}
GIVEN = re.compile(r"epoch_manager$|data_received$|.*data_?key", re.IGNORECASE)
"""Names that the architecture, asyncio and the keystore's design fix."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> list[Path]:
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in found if not path.name.endswith("_pb2.py") and "node_modules" not in path.parts]


OURS = sources(*PACKAGES)
ALL = [*OURS, *sources("tests", "bench")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def words(name: str) -> set[str]:
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_").split("_"))


def test_the_tree_is_what_the_architecture_says() -> None:
    for package in PACKAGES:
        assert (ROOT / package / "__init__.py").exists(), package
    for folder in ("docs", "bench", "contracts", "tests"):
        assert (ROOT / folder).is_dir(), folder


def test_files_and_functions_are_short() -> None:
    long_files = [name(path) for path in ALL if len(path.read_text().splitlines()) > FILE_LIMIT]
    long_functions = [
        f"{name(path)}: {node.name} has {length(node)} lines"
        for path in ALL
        for node in functions(path)
        if length(node) > FUNCTION_LIMIT
    ]
    assert not long_files
    assert not long_functions


def test_most_functions_fit_half_a_screen() -> None:
    lengths = sorted(length(function) for path in OURS for function in functions(path))
    assert lengths[int(len(lengths) * 0.9)] <= FUNCTION_P90


def test_names_say_something() -> None:
    empty = []
    for path in OURS:
        named = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Named)]
        named += [path.stem, *path.relative_to(ROOT).parent.parts]
        empty += [f"{name(path)}: {word}" for word in named if words(word) & WORDS and not GIVEN.match(word)]
    assert not empty, "say what it is"


def test_modules_say_what_they_are() -> None:
    trees = {name(path): ast.parse(path.read_text()) for path in OURS}
    assert not [path for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]


def test_no_bare_except() -> None:
    bare = [
        f"{name(path)}:{node.lineno}"
        for path in OURS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert not bare


def test_the_words_are_found_inside_names() -> None:
    assert words("CacheManager") & WORDS
    assert words("_load_base") & WORDS
    assert not words("database") & WORDS
