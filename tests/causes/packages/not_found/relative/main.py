import shop.desk
