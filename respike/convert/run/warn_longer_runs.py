"""A word about runs that are longer than those that thresholds were fitted to."""

from __future__ import annotations

from ..errors import warn


def warn_of_longer_run(fitted: bool, calibrated: int, timesteps: int) -> bool:
    """Say that a run is longer than those that a network was fitted to; whether it was said.

    Thresholds with the least squared error clip what is rarely needed, and biases make up for what that loses together
    with what few steps lose: with more steps they make up for too much. The largest activation as a threshold clips
    nothing, and without correction nothing is made up for.
    """
    if not fitted or timesteps <= calibrated:
        return False
    warn(
        f"this network runs {timesteps} timesteps, and its thresholds and biases were chosen for {calibrated} "
        "(threshold='mse'): beyond these its error soon stops falling, and can rise. Convert with "
        f"timesteps={timesteps}, or with threshold='max', with which the error goes on falling"
    )
    return True
