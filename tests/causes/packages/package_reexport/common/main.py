import shop

shop.VERSION
