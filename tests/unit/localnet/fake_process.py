"""A stand-in for any process of a node: notes each start, behaves as a file beside it says, ends as processes do."""

import json
import os
import select
import signal
import socket
import sys
from pathlib import Path


def main(name: str) -> None:
    node = Path.cwd()
    fd = int(sys.argv[sys.argv.index("--supervised-fd") + 1]) if "--supervised-fd" in sys.argv else -1
    with (node / "starts").open("a") as file:
        file.write(json.dumps({"name": name, "pid": os.getpid(), "extra": os.environ.get("EXTRA", "")}) + "\n")
    wish = node / f"{name}.exit"
    if wish.exists():
        sys.exit(int(wish.read_text()))
    if name == "abci_app":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("run/abci.sock")
        listener.listen()
    if (node / f"{name}.stubborn").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        ready, _, _ = select.select([fd] if fd >= 0 else [], [], [], 30)
        if ready and not os.read(fd, 1):
            return


if __name__ == "__main__":
    main("cometbft")
