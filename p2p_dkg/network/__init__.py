"""Authenticated links between the keepers of a committee: libp2p over TCP with Noise and yamux, and nothing else."""
