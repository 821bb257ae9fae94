from cart import discount, totl

VALUE = totl([]) - discount([])
