"""Sound like speech, and the features that DNSMOS hears of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

Values = NDArray[np.float64]

RATE = 16_000
LENGTH = 144_000
"""Samples of sound that the network hears: 9 seconds."""
VOWELS = np.array(
    [
        (270, 2290, 3010),
        (390, 1990, 2550),
        (530, 1840, 2480),
        (660, 1720, 2410),
        (730, 1090, 2440),
        (570, 840, 2410),
        (440, 1020, 2240),
        (300, 870, 2240),
        (640, 1190, 2390),
        (490, 1350, 1690),
    ]
)
"""First three formants in Hz of ten English vowels, men's means (Peterson and Barney, 1952)."""
CONTROL = 100
"""Times a second that pitch, formants and loudness are said anew; between them they are interpolated."""


def sounds(n: int, seed: int) -> Values:
    """Speakers in noise, ``(n, LENGTH)``, each of its own voice, room, noise and signal-to-noise ratio."""
    drawn = np.random.default_rng([n, seed])
    return np.stack([_sound(drawn) for _ in range(n)])


def _sound(drawn: Generator) -> Values:
    clean = _speaker(drawn)
    if drawn.random() < 0.4:  # a room: noise that dies away
        decay = np.exp(-np.arange(RATE // 2) / RATE * 6.9 / drawn.uniform(0.2, 0.9))
        room = drawn.normal(size=RATE // 2) * decay * drawn.uniform(0.02, 0.1)
        room[0] = 1
        clean = _filtered(clean, np.fft.rfft(room, 2 * LENGTH))
    tilt = drawn.uniform(0, 1.2)  # white to brown
    frequency = np.fft.rfftfreq(2 * LENGTH, 1 / RATE)
    noise = _filtered(drawn.normal(size=LENGTH), np.maximum(frequency, 50) ** -tilt)
    ratio = drawn.uniform(-5, 45)  # dB
    noise *= np.sqrt((clean**2).mean() / (noise**2).mean()) * 10 ** (-ratio / 20)
    both = clean + noise
    if drawn.random() < 0.2:  # an overdriven microphone
        limit = np.quantile(abs(both), drawn.uniform(0.8, 0.98))
        both = both.clip(-limit, limit)
    level: Values = both / abs(both).max() * drawn.uniform(0.1, 0.9)
    return level


def _speaker(drawn: Generator) -> Values:
    """Glottal pulses through formants, harmonic by harmonic, and hisses, in syllables with pauses between phrases."""
    ticks = LENGTH * CONTROL // RATE + CONTROL
    voiced, hissing = np.zeros(ticks), np.zeros(ticks)
    formants = np.tile(VOWELS[8], (ticks, 1)).astype(float)
    tract, rate, at = drawn.uniform(0.95, 1.25), drawn.uniform(3, 6), int(drawn.integers(5, 40))
    while at < ticks - 20:
        length = max(6, int(CONTROL / rate * drawn.uniform(0.6, 1.5)))
        hiss = int(drawn.integers(3, 9)) if drawn.random() < 0.5 else 0
        hissing[at : at + hiss] = drawn.uniform(0.1, 0.5)
        at += hiss
        shape = np.sin(np.pi * np.linspace(0.05, 0.95, length)) ** 0.5 * drawn.uniform(0.4, 1)
        voiced[at : at + length] = shape[: ticks - at]
        formants[at:] = VOWELS[drawn.integers(len(VOWELS))] * tract
        at += length + int(drawn.integers(0, 4))
        if drawn.random() < 0.12:
            at += int(drawn.integers(20, 90))
    smooth = np.hanning(7) / np.hanning(7).sum()
    formants = np.stack([np.convolve(np.pad(f, 3, "edge"), smooth, "valid") for f in formants.T])
    times = np.arange(LENGTH) / RATE * CONTROL
    wander = np.convolve(drawn.normal(size=ticks), np.hanning(40) / 20, "same")
    base = drawn.uniform(85, 230)
    pitch = base * (1 + 0.15 * wander + 0.1 * voiced)
    phase = 2 * np.pi * np.cumsum(np.interp(times, np.arange(ticks), pitch)) / RATE
    sound = np.zeros(LENGTH)
    for harmonic in range(1, int(5000 / base) + 1):
        loud = voiced * _resonance(pitch * harmonic, formants) / harmonic
        sound += np.interp(times, np.arange(ticks), loud) * np.sin(harmonic * phase)
    frequency = np.fft.rfftfreq(2 * LENGTH, 1 / RATE)
    hiss_band = np.exp(-(((frequency - drawn.uniform(3500, 6500)) / 1500) ** 2))
    hisses = _filtered(drawn.normal(size=LENGTH), hiss_band) * np.interp(times, np.arange(ticks), hissing)
    both: Values = sound / sound.std() + hisses / max(hisses.std(), 1e-9) * 0.3
    return both


def _resonance(frequency: Values, formants: Values) -> Values:
    """How much a tract with these formants lets through: resonators of two poles in a row, with 1 at 0 Hz."""
    widths = (80.0, 100.0, 140.0)
    gain = np.ones_like(frequency)
    for centre, width in zip(formants, widths, strict=True):
        gain *= centre**2 / np.hypot(centre**2 - frequency**2, width * frequency)
    return gain


def _filtered(sound: Values, response: NDArray[np.float64] | NDArray[np.complex128]) -> Values:
    """Of twice its length, so that the end does not come round to the beginning."""
    return np.fft.irfft(np.fft.rfft(sound, 2 * LENGTH) * response, 2 * LENGTH)[:LENGTH]


def features(sounds: Values) -> Tensor:
    """Mel spectrograms ``(N, 900, 120)``, as speechmos computes them with librosa.

    That is ``(power_to_db(melspectrogram(n_fft=321, hop_length=160, n_mels=120), ref=np.max) + 40) / 40``, 80 dB deep.
    """
    size, hop, bank = 321, 160, _mel_bank(120, 321)
    window = torch.hann_window(size, periodic=True, dtype=torch.float64)
    found = torch.stft(
        torch.from_numpy(sounds), size, hop, window=window, center=True, pad_mode="constant", return_complex=True
    )
    power = bank @ found.abs().square()
    decibels = 10 * power.clamp(min=1e-10).log10()
    decibels = (decibels - decibels.amax((1, 2), keepdim=True)).clamp(min=-80)
    return ((decibels + 40) / 40).transpose(1, 2).float().contiguous()


def _mel_bank(bands: int, size: int) -> Tensor:
    """Triangles of equal area, evenly on Slaney's mel scale: linear to 1 kHz, then logarithmic."""
    step = np.log(6.4) / 27
    highest = 15 + np.log(RATE / 2 / 1000) / step
    mels = np.linspace(0, highest, bands + 2)
    corners = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    rising = (frequency - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - frequency) / np.diff(corners)[1:, None]
    bank = np.maximum(0, np.minimum(rising, falling)) * (2 / (corners[2:] - corners[:-2]))[:, None]
    return torch.from_numpy(bank)
