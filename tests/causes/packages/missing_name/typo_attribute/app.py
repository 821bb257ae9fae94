import cart

VALUE = cart.totl([])
