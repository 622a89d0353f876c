"""What Sinabs writes sends Sinabs' own spikes, several in a step; where Sinabs is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from nir_networks import in_256ths
from torch import nn

import respike


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of nirtorch, which Sinabs calls
def test_a_file_of_sinabs(tmp_path: Path) -> None:
    reason = "Sinabs is not installed: pip install 'respike[peers]'"
    sinabs: Any = pytest.importorskip("sinabs.layers", reason=reason)
    exporting: Any = pytest.importorskip("sinabs.nir", reason="Sinabs exports with nirtorch")
    import nir

    steps, x = 8, in_256ths(torch.rand(16, 2, 8, 8))

    def neurons() -> Any:
        return sinabs.IAFSqueeze(spike_threshold=0.5, min_v_mem=-0.5, num_timesteps=steps)

    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), neurons(), sinabs.SumPool2d(2), nn.Conv2d(4, 4, 3, stride=2), neurons(),
        nn.Flatten(), nn.Linear(4, 5), neurons(),
    )  # fmt: skip
    for parameter in net.parameters():
        parameter.data = in_256ths(2 * parameter.data)
    repeated = x.repeat_interleave(steps, 0)
    graph = exporting.to_nir(net, repeated)
    graph.infer_types()
    nir.write(tmp_path / "net.nir", graph)
    for layer in net.modules():
        if isinstance(layer, sinabs.IAFSqueeze):
            layer.reset_states()
    with torch.no_grad():
        wanted = net(repeated).unflatten(0, (16, steps)).transpose(0, 1)
    snn = respike.from_nir(tmp_path / "net.nir", reset="subtract", spikes="multiple", floor=-1, timesteps=steps)
    seen = []
    for _ in snn.blocks([x], recorder=lambda node, events, sent: seen.append((node.name, events))):
        pass
    last = seen[-1][0]
    assert wanted.max() > 1
    assert torch.equal(torch.cat([events for name, events in seen if name == last]), wanted)
    torch.testing.assert_close(snn(x), wanted.mean(0))
