KILO = 1000

from .length import *

MILE = 1609.344 * METRE
