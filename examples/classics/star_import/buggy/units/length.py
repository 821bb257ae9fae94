from .scale import *

METRE = 1.0
KILOMETRE = KILO * METRE
