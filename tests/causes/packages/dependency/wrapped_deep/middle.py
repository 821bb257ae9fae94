import lower

LEVEL = lower.LEVEL
