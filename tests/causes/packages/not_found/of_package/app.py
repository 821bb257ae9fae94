import shop.crat

VALUE = shop.crat.ITEMS
