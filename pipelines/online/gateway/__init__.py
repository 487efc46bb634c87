"""The gateway: the online store's values over HTTP, with what may be said of them.

Never imports Feast; starts within seconds and needs neither registry nor warehouse.
"""
