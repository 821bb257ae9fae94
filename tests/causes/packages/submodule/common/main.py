import user

user.VALUE
