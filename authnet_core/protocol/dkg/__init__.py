"""Batch key generation of one session, steps 1 to 8 of docs/protocol/dkg.md, without I/O."""
