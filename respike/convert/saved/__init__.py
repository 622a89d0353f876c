"""Networks in files: tensors as safetensors, and in the header the graph, as JSON of operations of a table.

``write_file.py`` saves and ``read_file.py`` loads. Both use ``json_document.py`` (what the JSON holds),
``spell_arguments.py`` (how arguments are spelled in it), ``allowed_operations.py`` (which operations may be named) and
``check_graph.py`` (what a graph must fulfil).
"""
