"""Generated protobuf code of CometBFT v0.40.0 (ABCI 2.0); `regenerate.py` makes it again."""
