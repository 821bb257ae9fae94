from money import round_to

RATE = round_to(19.04)
