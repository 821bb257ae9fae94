import acme_core

acme_core.Plugin()
