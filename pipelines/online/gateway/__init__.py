"""The gateway: the online store's values over HTTP, with what may be said of them.

Never imports Feast; starts within seconds and needs neither registry nor warehouse.
"""

#: Where it listens unless told otherwise. Not Feast's 6566: browsers refuse to ask that.
HOST, PORT = "127.0.0.1", 8566
