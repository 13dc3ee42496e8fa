"""A keeper that lies in one way, for `authnet localnet chaos --liar`. Never shipped: it is no part of any package.

python tests/liars/keeper.py STRATEGY NODE/node.toml [--supervised-fd N]
python tests/liars/keeper.py --list
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(argv: list[str]) -> int:
    """Run as the keeper's stand-in."""
    sys.path.insert(0, str(ROOT))
    if argv == ["--list"]:
        from tests.liars.strategies import RESHARING, STRATEGIES

        print("\n".join((*STRATEGIES, *RESHARING)))
        return 0
    strategy, config = argv[0], Path(argv[1])
    from localnet.chaos.launcher import prepare

    prepare(config)
    from tests.liars.strategies import take_on

    take_on(strategy, config.resolve().parent)
    from p2p_dkg.__main__ import main as keeper

    return keeper(argv[1:])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
