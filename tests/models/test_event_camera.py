"""The event camera: against the definition of an event, both ways to frames against each other, and against tonic."""

from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import respike
from respike.models import EventCamera, EventFrames, datasets, to_frames

DIGITS = 6


def digits(count: int = DIGITS) -> Tensor:
    return datasets.calibration()[:count]


def logarithm(image: np.ndarray[Any, Any], milliseconds: float, camera: EventCamera) -> np.ndarray[Any, Any]:
    """What the sensor sees, by numpy's own interpolation along each axis, of (28, 28)."""
    corners = np.array([(0, 0), (3, 6), (6, 0), (0, 0)], float)
    x, y = (np.interp(milliseconds, [0, 100, 200, 300], corners[:, axis]) for axis in (0, 1))
    pixels, places = np.arange(-1, 29), np.arange(34)
    bordered = np.pad(image.astype(float), 1)
    rows = np.stack([np.interp(places - y, pixels, column) for column in bordered.T], 1)
    return np.log(camera.dark + np.stack([np.interp(places - x, pixels, row) for row in rows]))


def test_events_are_crossings_of_thresholds() -> None:
    """A pixel's events, added up, follow the logarithm of its brightness, which numpy computes, to one threshold."""
    camera, image = EventCamera(), digits(1)
    frames = camera.frames(image, 300)[0]
    start = logarithm(image[0, 0].numpy(), 0, camera)
    sums = (frames[:, 1] - frames[:, 0]).cumsum(0).numpy()
    for millisecond in (1, 37, 100, 149, 233, 300):
        change = (logarithm(image[0, 0].numpy(), millisecond, camera) - start) / camera.threshold
        assert np.abs(change - sums[millisecond - 1]).max() < 1 + 1e-4
    assert np.abs(sums).max() == 5


def test_a_pixel_between_black_and_white_sends_as_many_as_the_docstring_says() -> None:
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:, :] = 1
    for camera in (EventCamera(), EventCamera(threshold=0.2, dark=0.05)):
        first = camera.frames(image, 3)[0, 0, :, :, 4]  # the first saccade, 6 pixels down and 3 to the right
        expected = math.floor(math.log((1 + camera.dark) / camera.dark) / camera.threshold)
        assert first[1, 8:13].tolist() == [expected] * 2 + [0] * 3 or first[0, 4:10].tolist() == [expected] * 6


@pytest.mark.parametrize("timesteps", [1, 12, 60, 300])
def test_both_ways_to_frames_agree(timesteps: int) -> None:
    camera, images = EventCamera(), digits()
    frames = camera.frames(images, timesteps)
    for image, wanted in zip(images, frames, strict=True):
        assert torch.equal(to_frames(camera.events(image), (34, 34), timesteps), wanted)
    assert 2000 < float(frames.sum()) / DIGITS < 8000  # as a recording of N-MNIST


def test_events_come_in_order_and_where_brightness_changes() -> None:
    events = EventCamera().events(digits(1)[0])
    assert bool((np.diff(events["t"]) >= 0).all()) and events["t"][0] >= 0 and events["t"][-1] < 300_000
    assert len(np.unique(events["t"] % 1000)) > 300  # between the camera's looks, too
    assert {int(p) for p in events["p"]} == {0, 1}
    assert len(EventCamera().events(torch.full((1, 28, 28), 0.0))) == 0


def test_time_is_that_of_the_crossing() -> None:
    """The first event of each pixel, against the logarithm between two looks."""
    camera, image = EventCamera(), digits(1)
    events = camera.events(image[0])
    start = logarithm(image[0, 0].numpy(), 0, camera)
    _, first = np.unique(events["y"].astype(int) * 34 + events["x"], return_index=True)
    for event in events[first[::40]]:
        look, share = divmod(int(event["t"]), 1000)
        before, after = (
            (logarithm(image[0, 0].numpy(), look + k, camera) - start)[event["y"], event["x"]] for k in (0, 1)
        )
        level = camera.threshold if event["p"] else -camera.threshold
        assert (level - before) / (after - before) * 1000 == pytest.approx(share, abs=1.5)


def test_filming_in_pieces_is_filming_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = EventCamera().frames(digits(), 30)
    monkeypatch.setattr("respike.models.event_camera.PIECE", 4)
    assert torch.equal(EventCamera().frames(digits(), 30), wanted)


@pytest.mark.parametrize("explained", [EventCamera, EventFrames])
def test_the_examples_of_docstrings_run(explained: type) -> None:
    names = {"torch": torch, "respike": respike, "EventCamera": EventCamera, "to_frames": to_frames}
    examples = doctest.DocTestParser().get_doctest(explained.__doc__ or "", names, explained.__name__, None, None)
    found = doctest.DocTestRunner().run(examples)
    assert found.attempted >= 2 and not found.failed


def test_mistakes_are_named() -> None:
    camera, image = EventCamera(), digits(1)
    with pytest.raises(ValueError, match="timesteps must divide the 300 ms of a recording"):
        camera.frames(image, 7)
    for odd in (0, True, 2.0, "30"):
        with pytest.raises(ValueError, match="timesteps must be a positive whole number"):
            camera.frames(image, odd)  # type: ignore[arg-type]
    assert torch.equal(camera.frames(image, np.int64(30)), camera.frames(image, 30))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="images must be a tensor"):
        camera.frames(image.numpy(), 30)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected grey images \(N, 1, H, W\); got shape \(1, 28, 28\)"):
        camera.frames(image[0], 30)
    with pytest.raises(ValueError, match=r"grey values must be in \[0, 1\]"):
        camera.events(255 * image[0])
    for name in ("threshold", "dark"):
        for odd in (-1, "a", None, True, 1e-40, math.nan):
            with pytest.raises(ValueError, match=f"{name} must be a number from 1e-6 to 1e6; got {odd!r}"):
                EventCamera(**{name: odd})  # type: ignore[arg-type]
    events = camera.events(image[0])
    with pytest.raises(ValueError, match=r"events have y from .* expected 0 to 19"):
        to_frames(events, (20, 34), 30)
    for odd in (34, (34,), (0, 34), "34"):
        with pytest.raises(ValueError, match=r"sensor must be \(height, width\)"):
            to_frames(events, odd, 30)  # type: ignore[arg-type]
    for odd in (0, -300, 300.0):
        with pytest.raises(ValueError, match="milliseconds must be a positive whole number"):
            to_frames(events, (34, 34), 30, odd)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="events must be a structured numpy array; got list"):
        to_frames([1, 2], (34, 34), 30)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="each image needs a label; got 1 images and 2 labels"):
        EventFrames(image, torch.zeros(2))
    one = EventFrames(image, torch.zeros(1), 30)
    assert one[0][0].shape == one[np.int64(0)][0].shape == one[torch.tensor(0)][0].shape == (30, 2, 34, 34)
    for field, change, message in (
        ("t", 5_000_000, "count microseconds from the start of the recording"),
        ("t", -1_000_000, "count microseconds from the start of the recording"),
        ("p", -1, r"of signs take events\['p'\] > 0"),
    ):
        moved = events.astype([(name, np.int64) for name in "xytp"])
        moved[field] += change
        with pytest.raises(ValueError, match=f"events have {field} from .*{message}"):
            to_frames(moved, (34, 34), 30)
    for kind in (np.float64, np.uint64):
        assert torch.equal(
            to_frames(events.astype([(name, kind) for name in "xytp"]), (34, 34), 30), to_frames(events, (34, 34), 30)
        )
    halves = events.astype([(name, np.float64) for name in "xytp"])
    halves["t"] += 0.5
    with pytest.raises(ValueError, match="a field t that does not hold whole numbers"):
        to_frames(halves, (34, 34), 30)
    with pytest.raises(ValueError, match="missing: p"):
        to_frames(events[["x", "y", "t"]], (34, 34), 30)


def test_the_data_set_films_what_is_asked_for() -> None:
    frames = datasets.load("mnist_events", timesteps=30)
    images, labels = datasets.load("mnist").tensors
    assert len(frames) == 10_000
    wanted = EventCamera().frames(images[:4], 30)
    some, their_labels = frames[:4]
    assert torch.equal(some, wanted) and torch.equal(their_labels, labels[:4])
    one, label = frames[3]
    assert torch.equal(one, wanted[3]) and label == labels[3]
    batch = next(iter(torch.utils.data.DataLoader(torch.utils.data.Subset(frames, [2, 0]), batch_size=2)))
    assert torch.equal(batch[0], wanted[[2, 0]]) and torch.equal(batch[1], labels[[2, 0]])
    whole, _ = datasets.load("mnist_events")[:4]
    torch.testing.assert_close(whole, wanted.mean(1))
    calibration = datasets.calibration("mnist_events", timesteps=15)
    assert calibration.shape == (512, 15, 2, 34, 34)
    torch.testing.assert_close(calibration[:4], EventCamera().frames(digits(4), 15))


def test_data_sets_without_frames_have_none() -> None:
    for call in (datasets.load, datasets.calibration):
        with pytest.raises(ValueError, match="mnist has no frames; timesteps are for mnist_events"):
            call("mnist", timesteps=3)
        with pytest.raises(ValueError, match="must divide the 300 ms"):
            call("mnist_events", timesteps=7)
    with pytest.raises(ValueError, match="training part of mnist_events does not ship"):
        datasets.load("mnist_events", train=True)
    with pytest.raises(ValueError, match="of 'fashion_mnist' ship, only of mnist and mnist_events"):
        datasets.calibration("fashion_mnist")


def test_the_network_knows_digits_and_scales_with_their_events() -> None:
    model = respike.models.load("mnist_events")
    frames, labels = datasets.load("mnist_events")[:500]
    with torch.no_grad():
        found, more = model(frames), model(7 * frames)
    assert float((found.argmax(1) == labels).double().mean()) >= 0.97
    torch.testing.assert_close(more, 7 * found, rtol=1e-4, atol=1e-4)


def test_it_spikes_as_it_decides_with_frames_that_come_one_at_a_time() -> None:
    model = respike.models.load("mnist_events")
    calibration = EventCamera().frames(digits(64), 30)
    snn = respike.from_torch(model, respike.Frames(calibration), 30, threshold="max", correction="none")
    frames, labels = datasets.load("mnist_events", timesteps=30)[:60]
    wanted = snn.simulate(frames)
    with snn.stream(60) as run:
        for t in range(30):
            torch.testing.assert_close(run(frames[:, t]), wanted[:, t])
    right = (wanted.argmax(2) == labels[:, None]).double().mean(0)
    assert right[-1] >= 0.95 and right[14] >= 0.9
