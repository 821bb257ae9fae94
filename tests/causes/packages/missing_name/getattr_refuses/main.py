from lazy_cart import totl

totl([])
