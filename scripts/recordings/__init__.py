"""Benchmarks of inputs that move."""
