EUR = "EUR"
