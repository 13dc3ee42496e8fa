"""What the keeper offers on its two unix sockets."""
