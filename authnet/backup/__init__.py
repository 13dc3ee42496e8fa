"""Backups of a node: what it could not make again, in one encrypted file that proves that it opens."""
