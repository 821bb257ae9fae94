try:
    from codec_accelerator_that_is_not_installed import decode, encode
except ModuleNotFoundError:
    from codec._plain import decode, encode
