"""What training after conversion brings."""
