"""The keeper's encrypted store: node keys, per-session and per-epoch secrets, and how each of them is erased."""
