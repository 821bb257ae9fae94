"""A shop: who buys (customers) and what they buy (orders)."""
