"""Compiled contracts, written by contracts/compile.mjs."""
