from acme_http import Session

VALUE = Session()
