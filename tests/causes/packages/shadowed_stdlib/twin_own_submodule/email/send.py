SENT = []
