"""What calibration keeps in memory or in a file, and how spikes are packed there."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

import pytest
import torch

import respike
from respike.convert.calibrate.memory_or_disk import Store
from respike.convert.calibrate.packed_integers import Packing, packing_of
from respike.convert.options import NeuronOptions


def test_the_file_has_no_name_and_gives_room_back() -> None:
    before = set(os.listdir(tempfile.gettempdir()))
    store = Store(100, torch.device("cpu"))
    kept = store.array(10, 10)
    away = [store.array(7, 11) for _ in range(3)]
    values = [torch.randint(0, 256, (7, 11), dtype=torch.uint8) for _ in away]
    for array, value in zip(away, values, strict=True):
        array.write(slice(0, 4), slice(0, 11), value[:4])
        array.write(slice(4, 7), slice(0, 5), value[4:, :5])
        array.write(slice(4, 7), slice(5, 11), value[4:, 5:])
    if sys.platform != "win32":  # there it has one until it is closed
        assert set(os.listdir(tempfile.gettempdir())) <= before
    for array, value in zip(away, values, strict=True):
        assert torch.equal(array.read(slice(2, 6), slice(3, 9)), value[2:6, 3:9])
        assert torch.equal(array.read(slice(0, 7), slice(0, 11)), value)
    assert (store.held, store.spilled) == (100, 3 * 77)
    assert store._file is not None
    end = store._file.end
    store.drop(away[0])
    store.drop(away[1])
    store.array(14, 11)  # where these two were
    assert store._file.end == end
    store.drop(kept)
    assert store.held == 0
    store.close()


def test_a_full_disk_is_said() -> None:
    store = Store(0, torch.device("cpu"))
    array = store.array(4, 4)

    class Full:
        def seek(self, offset: int) -> None:
            del offset

        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    assert store._file is not None
    store._file.file.close()
    store._file.file = Full()
    with pytest.raises(respike.ConversionError, match=r"No space left on device.*TMPDIR"):
        array.write(slice(0, 4), slice(0, 4), torch.zeros(4, 4, dtype=torch.uint8))


@pytest.mark.parametrize("options", [NeuronOptions(), NeuronOptions(max_spikes=3), NeuronOptions("signed")])
@pytest.mark.parametrize("count", [1, 7, 8, 100])
def test_spikes_are_packed_and_unpacked(options: NeuronOptions, count: int) -> None:
    packing = packing_of(options)
    assert packing is not None
    lowest = -options.max_spikes if options.takes_back else 0
    spikes = torch.randint(lowest, options.max_spikes + 1, (3, 5, count), dtype=torch.int8)
    packed = packing.pack(spikes)
    assert packed.shape[-1] == packing.width(count)
    assert torch.equal(packing.unpack(packed, count), spikes)


def test_bits_are_as_few_as_the_values_need() -> None:
    bits = [packing_of(NeuronOptions(max_spikes=n)) for n in (1, 2, 3, 4, 15, 16, 127)]
    assert bits == [Packing(n, 0) for n in (1, 2, 2, 4, 4, 8, 8)]
    assert packing_of(NeuronOptions(max_spikes=128)) is None
    assert packing_of(NeuronOptions("signed")) == Packing(2, -1)
