"""Models with network terms: their searches, and what comes of them."""
