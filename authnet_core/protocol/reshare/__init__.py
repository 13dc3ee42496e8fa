"""Resharing of one batch of keys from one committee to the next; docs/protocol/resharing.md."""
