"""Trained networks that others made, with samples, and what conversion makes of them: ``benchmark.py pretrained``."""
