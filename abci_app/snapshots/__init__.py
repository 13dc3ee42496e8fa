"""A whole state in chunks: state sync, export and import."""
