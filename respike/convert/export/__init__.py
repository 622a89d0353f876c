"""Ways out of respike: a converted network as a module that can be trained."""
