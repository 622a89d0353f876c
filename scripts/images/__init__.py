"""Images in files: what reading, converting and judging them takes."""
