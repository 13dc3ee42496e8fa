"""What the processes of a node share that does I/O: configuration, logs, metrics, socket RPC, chain client."""
