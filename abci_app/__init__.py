"""The replicated state machine under CometBFT: pure rules, one LevelDB, no secrets, no clock, no network."""
