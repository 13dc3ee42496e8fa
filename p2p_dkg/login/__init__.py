"""Login inside the keeper: it reads tokens, gives receipts and releases shares (retrieval.md 2-4)."""
