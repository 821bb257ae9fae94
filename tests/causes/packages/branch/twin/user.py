from tables import fast

VALUE = fast()
