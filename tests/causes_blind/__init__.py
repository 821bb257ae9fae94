"""Programs whose explanations were written down before any was seen."""
