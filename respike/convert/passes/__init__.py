"""One pass a file; each takes a graph and gives a graph that computes the same output."""

from __future__ import annotations

from ..graph import Graph
from .activations import spell_activations as spell_activations
from .additive_masks import spell_masks as spell_masks
from .batch_norm import spell_batch_norm as spell_batch_norm
from .constants import fold_constants as fold_constants
from .conv_paddings import spell_paddings as spell_paddings
from .drop_identities import drop_identities as drop_identities
from .fold_scales import fold_scales as fold_scales
from .guarded_functions import drop_guards as drop_guards
from .permutations import join_permutations as join_permutations
from .product_scales import scales_behind_products as scales_behind_products
from .prune import prune as prune
from .quantised_activations import spell_stairs as spell_stairs
from .readouts import correct_readouts as correct_readouts
from .readouts import readouts as readouts
from .roles import set_roles as set_roles
from .smooth_activations import join_smooth_activations as join_smooth_activations
from .squeezed_axes import name_squeezed as name_squeezed
from .tracking import track as track


def normalise(graph: Graph) -> Graph:
    """All passes that bring a traced graph to the form that ``set_roles`` takes."""
    for step in (
        prune,
        name_squeezed,
        spell_paddings,
        fold_constants,
        drop_identities,
        join_permutations,
        spell_masks,
        drop_guards,
        join_smooth_activations,
        spell_stairs,
        prune,
        spell_batch_norm,
        spell_activations,
        fold_constants,
        scales_behind_products,
        fold_scales,
        prune,
    ):
        graph = step(graph)
    return graph
