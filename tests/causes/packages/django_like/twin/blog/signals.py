def saved(post):
    from blog.models import Post

    return isinstance(post, Post)
