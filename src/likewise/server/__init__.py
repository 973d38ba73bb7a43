"""The HTTP service: authenticates, limits, calls the library, answers.

Nothing is imported here: the processes that decode pictures are of this package too, and start without torch.
"""
