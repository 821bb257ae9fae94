import acme

VALUE = acme.second.VALUE
