import money

money.round_to(1.5)
