"""Curves of neurons and what they should be: measured, in closed form, and the currents that they are measured with."""
