from cart import totl

totl([])
