"""Faults on a localnet that runs, load beside them, and what must hold meanwhile (docs/operate/chaos.md)."""
