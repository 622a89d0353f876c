"""The one intermediate form: a list of named operations on named values, and the table of what each is in time."""

from .channel_groups import layer_groups as layer_groups
from .graph import Graph as Graph
from .node import BATCH as BATCH
from .node import DERIVED as DERIVED
from .node import FILL_OPS as FILL_OPS
from .node import SHAPE_OPS as SHAPE_OPS
from .node import Node as Node
from .node import Ref as Ref
from .node import leaves as leaves
from .node import map_leaves as map_leaves
from .operations import RELU as RELU
from .operations import function as function
from .operations import relu as relu
from .population import Population as Population
from .rewriter import Rewriter as Rewriter
from .rewriter import rewrite as rewrite
