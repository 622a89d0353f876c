"""Networks in files: tensors as safetensors, and in the header the graph, as JSON of operations of a table.

``write.py`` and ``load.py`` are the two ways; between them lie what the JSON holds (``document.py``), how arguments are
spelled in it (``values.py``), which operations may be named (``table.py``) and what a graph must be (``check.py``).
"""
