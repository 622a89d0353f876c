"""What each ONNX operator is in PyTorch: a function, and the builder that calls it, by family."""

from . import activation as activation
from . import arithmetic as arithmetic
from . import attention as attention
from . import constant as constant
from . import conv as conv
from . import layout as layout
from . import nd_places as nd_places
from . import norm as norm
from . import numbers as numbers
from . import pool as pool
from . import reduce as reduce
from . import resize as resize
from . import select as select
from .arithmetic import add as add
from .conv import linear as linear
from .conv import linear_rows as linear_rows
