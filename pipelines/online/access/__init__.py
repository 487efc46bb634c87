"""Who may read what: bearer keys, OIDC tokens, rate limits, and the members who are erased.

No HTTP here: the gateway hands over what a caller sent and gets a `Caller` or an error back.
"""
