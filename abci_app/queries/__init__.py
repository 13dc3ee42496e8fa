"""What the state answers, with proofs, by ABCI Query and on read.sock."""
