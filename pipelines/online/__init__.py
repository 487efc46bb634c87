"""The way out: the online stores, what fills them, and the gateway that reads them."""
