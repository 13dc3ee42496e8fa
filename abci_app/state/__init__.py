"""What is replicated: tables, records, the authenticated tree and the store below them."""
