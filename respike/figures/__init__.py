"""Figures of evaluations, networks and neurons, drawn with matplotlib from plain numbers."""
