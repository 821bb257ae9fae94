def total(items):
    return sum(items)


def discount(items):
    return 0
