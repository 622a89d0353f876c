"""Networks that left respike, held against it."""
