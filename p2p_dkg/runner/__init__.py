"""Follows the chain and runs this node's key generation sessions."""
