"""iter_modules() lists plugins.beta and imports nothing."""

import pkgutil

import plugins.alpha

FOUND = list(pkgutil.iter_modules(plugins.__path__, "plugins."))
HOOKS = [plugins.alpha.hook, plugins.beta.hook]
