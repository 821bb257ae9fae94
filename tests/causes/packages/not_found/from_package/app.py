from shop import crat

VALUE = crat.ITEMS
