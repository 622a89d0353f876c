"""What the ANN is shown of inputs that move: the mean of the frames, or each of them."""

from __future__ import annotations

import pytest
import torch
from frame_networks import small
from torch import Tensor, nn

import respike
from respike.evaluation.shown_to_ann import ann_output, mean_of
from respike.report import gather


class Halves(nn.Module):
    """How far the left half is from the right, about, and a constant score: flicker, which the mean has not."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 2), nn.Linear(2, 2)
        with torch.no_grad():
            self.a.weight.copy_(torch.tensor([[1.0, 1, -1, -1], [-1, -1, 1, 1]]))
            self.b.weight.copy_(torch.tensor([[1.0, 1], [0, 0]]))
            self.a.bias.fill_(0.1)
            self.b.bias.copy_(torch.tensor([0.0, 0.5]))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)))


def flicker(count: int = 64) -> Tensor:
    """Left and right in turns, each sample of another strength: the mean is even."""
    left = torch.tensor([1.0, 1, 0, 0])
    frames = torch.stack([left, 1 - left] * 4)
    return frames * (0.3 + torch.rand(count, 1, 1, generator=torch.Generator().manual_seed(0)))


def test_the_two_differ_where_frames_do() -> None:
    model, frames = Halves().eval(), flicker()
    snn = respike.from_torch(model, respike.Frames(frames), 8)
    labels = torch.zeros(64).long()  # class 0: there is flicker
    mean = respike.evaluate(snn, (frames, labels), ann=model)
    each = respike.evaluate(snn, (frames, labels), ann=model, ann_on="frames")
    assert (mean.ann_accuracy, each.ann_accuracy) == (0.0, 1.0)
    assert mean.agreement is not None
    assert each.agreement is not None
    assert mean.agreement[-1] == 1 - each.agreement[-1] == 1.0
    assert "mean of its outputs on each frame" in str(each)
    assert "each frame" not in str(mean)
    assert each.ann_macs == 8 * mean.ann_macs and each.ann_work.additions == 8 * mean.ann_work.additions
    assert mean.ann_needed_macs is not None
    assert each.ann_needed_macs is not None
    assert each.ann_needed_macs < 8 * mean.ann_needed_macs  # half of each frame is dark
    wanted = torch.stack([model(frames[:, t]) for t in range(8)]).mean(0)
    torch.testing.assert_close(ann_output(model, snn.graph, [frames], "frames"), wanted)
    report = gather(snn, (frames, labels), model, ann_on="frames", samples=16, progress=False)
    assert report.decisions is not None
    assert report.decisions["differing"]["count"] == 64
    assert report.sample is not None
    ann = {row["class"]: row["ann"] for row in report.sample["scores"]}
    assert [ann[0], ann[1]] == pytest.approx(wanted[0].tolist())


def test_the_diagnosis_holds_outputs_against_them() -> None:
    model, snn, frames = small()
    mean, each = (respike.diagnose(snn, frames, model, ann_on=on) for on in ("mean", "frames"))  # type: ignore[arg-type]
    assert mean.output_error < each.output_error
    assert mean.layers == each.layers
    encoded = respike.from_torch(model, respike.Encoded(respike.Frames(frames)), 6)
    found = respike.evaluate(encoded, (frames, torch.zeros(64).long()), model, ann_on="frames")
    assert found.agreement is not None


def test_what_has_no_mean_is_refused() -> None:
    with pytest.raises(ValueError, match="these are classes"):
        mean_of([torch.tensor([1, 2])])
    a, b = {"x": torch.tensor([1.0])}, {"x": torch.tensor([3.0])}
    assert mean_of([a, b])["x"].tolist() == [2.0]
