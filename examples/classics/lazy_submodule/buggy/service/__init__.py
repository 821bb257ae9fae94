"""Uses api_client from two places."""
