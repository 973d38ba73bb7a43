"""Pictures and sounds in and files out: the one place that decodes, and the one that overwrites without losing."""
