from accounts.models import Account
from blog.signals import saved


class Post:
    author = Account
    saved = saved
