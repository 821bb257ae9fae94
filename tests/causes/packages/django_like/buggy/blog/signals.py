from blog.models import Post


def saved(post: Post):
    return post
