"""Images in folders and in tar files, prepared as a network takes them."""

from .folders import folder, imagenet
from .preparation import Preparation, of_size, of_weights
from .shards import Shards

__all__ = ["Preparation", "Shards", "folder", "imagenet", "of_size", "of_weights"]
