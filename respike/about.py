"""What respike runs on."""

from __future__ import annotations

import platform
from importlib import metadata

import torch

from .layers import kernels

_PACKAGES = ("respike", "torch", "torchvision", "numpy", "onnx", "numba", "triton", "onnxruntime", "altair")


def about() -> dict[str, str]:
    """Versions, devices, kernels and the number formats that the processor has units for, in words."""
    cuda = torch.cuda.is_available()
    devices = {"cpu": platform.processor() or platform.machine()}
    if cuda:
        devices["cuda"] = torch.cuda.get_device_name()
    told = {name: version(name) for name in _PACKAGES}
    told["python"] = platform.python_version()
    told["threads"] = str(torch.get_num_threads())
    for name, words in devices.items():
        backend = kernels.backend_for(torch.device(name))
        told[f"device {name}"] = words
        told[f"kernels on {name}"] = f"{backend} ({kernels.BACKENDS[backend]})"
    told["fast formats on cpu"] = ", ".join(["float32", *_units()])
    return told


def _units() -> list[str]:
    """Formats that the processor multiplies more of at once than of float32."""
    cpu = torch.cpu
    bfloat16 = cpu._is_amx_tile_supported() or cpu._is_avx512_bf16_supported()
    return [name for name, there in (("bfloat16", bfloat16), ("int8", cpu._is_vnni_supported())) if there]


def version(package: str) -> str:
    """Of an installed package, or that it is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
