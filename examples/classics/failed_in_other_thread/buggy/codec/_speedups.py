import codec_accelerator_that_is_not_installed as fast

encode = fast.encode
decode = fast.decode
