"""The numerical engine against dense linear algebra, brute force and closed forms."""
