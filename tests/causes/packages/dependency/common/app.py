import driver

VALUE = driver.connect()
