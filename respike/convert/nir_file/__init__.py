"""NIR files: what is in one, written whole, and read without believing it."""
