"""Process: the public door of a node. Parses, limits, looks up, forwards; holds no secret."""
