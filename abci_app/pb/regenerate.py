"""Regenerate the protobuf code of this folder from the pinned Go modules.

Run from the repository root: `.venv/bin/python -m abci_app.pb.regenerate`. It needs the module sources in
Go's cache (`go mod download` of the versions below) and grpcio-tools. gogoproto options never touch the wire
and their definition is not shipped, so they are stripped; imports are moved under this package.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

COMETBFT = "github.com/cometbft/cometbft@v0.40.0"
COMET_PROTOS = (
    "abci/types",
    "crypto/keys",
    "crypto/proof",
    "types/block",
    "types/evidence",
    "types/params",
    "types/types",
    "types/validator",
    "version/types",
)
PACKAGE = "abci_app/pb"


def strip(source: str) -> str:
    """Remove gogoproto from one file and move its imports under this package."""
    source = source.replace('import "gogoproto/gogo.proto";\n', "")
    source = re.sub(r"^\s*option \(gogoproto\.[^;]*;\n", "", source, flags=re.MULTILINE)
    source = re.sub(r"\s*\[\s*\(gogoproto\.[^\]]*\]", "", source, flags=re.DOTALL)
    source = re.sub(r"^option go_package[^;]*;\n", "", source, flags=re.MULTILINE)
    return re.sub(r'import "(tendermint|cosmos)/', rf'import "{PACKAGE}/\1/', source)


def module_folder(module: str) -> Path:
    """Where Go keeps the sources of `module`."""
    cache = subprocess.run(["go", "env", "GOMODCACHE"], check=True, capture_output=True, text=True)
    return Path(cache.stdout.strip()) / module


def collect(target: Path) -> list[Path]:
    """Write the stripped sources under `target` and return them."""
    wanted = {f"tendermint/{name}.proto": module_folder(COMETBFT) / "proto" for name in COMET_PROTOS}
    written = []
    for relative, root in wanted.items():
        destination = target / PACKAGE / relative
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_text(strip((root / relative).read_text()))
        written.append(destination)
    return written


def main() -> None:
    """Replace the generated modules."""
    home = Path(PACKAGE)
    with tempfile.TemporaryDirectory() as folder:
        sources = collect(Path(folder))
        arguments = ["-I", folder, "--python_out=.", "--pyi_out=.", *map(str, sources)]
        if (home / "tendermint").exists():
            shutil.rmtree(home / "tendermint")
        subprocess.run([".venv/bin/python", "-m", "grpc_tools.protoc", *arguments], check=True)
    for made in {path.parent for path in home.rglob("*_pb2.py")} | {home / "tendermint"}:
        (made / "__init__.py").touch()


if __name__ == "__main__":
    main()
