from cart import zebra_crossing

zebra_crossing()
