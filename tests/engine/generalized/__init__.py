"""The engine of generalized models against brute force."""
