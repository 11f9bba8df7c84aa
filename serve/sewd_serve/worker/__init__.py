"""The process that reads recordings and runs models; the server's own process speaks to it in messages.

It is another process so that a crash in a C library ends it alone: what it was doing fails with 503, it is
started again, and no connection is lost.
"""
