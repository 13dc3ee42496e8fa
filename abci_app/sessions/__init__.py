"""Key generation on chain: sessions, their clocks, complaints and the pool."""
