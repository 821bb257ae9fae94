import ledger
import shop.cart

VALUE = ledger.ENTRIES + shop.cart.ITEMS
