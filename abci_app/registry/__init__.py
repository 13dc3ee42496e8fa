"""What members observe in the registry contract and vote for: epochs and verifiers."""
