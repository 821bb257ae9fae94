"""walk_packages() passes over the failure of plugins.beta without a word."""

import pkgutil

import plugins

FOUND = list(pkgutil.walk_packages(plugins.__path__, "plugins."))
HOOKS = [plugins.alpha.hook, plugins.beta.hook]
