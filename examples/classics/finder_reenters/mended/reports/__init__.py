"""Reports. Importing them counts modules from here on."""

import hooks.counting
from reports import layout
