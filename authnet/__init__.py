"""The `authnet` command: configuration, supervision, and the only package that knows all parts."""
