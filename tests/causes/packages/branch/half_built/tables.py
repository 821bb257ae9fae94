import user

if user.__name__ == "here":
    fast = 1
else:
    fast = 2
