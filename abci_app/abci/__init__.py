"""The ABCI 2.0 application and its socket: requests in, responses out."""
