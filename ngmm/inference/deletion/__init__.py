"""What leaving out a row or a group would change."""
