"""Text to bytes and back, faster where the accelerator is installed."""
